"""What a failure that is seen again makes of its cause. Reads no clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

HOURS_KEPT = 48


def state_after(state: str, *, seen_at: datetime, decided_at: datetime | None, snoozed_until: datetime | None) -> str:
    """The state of a cause that was seen at this time: what was resolved has come back, what slept may wake.

    What ended before the decision changes nothing: it is told late.
    """
    if state == "resolved" and (decided_at is None or seen_at > decided_at):
        return "regressed"
    if state == "snoozed" and (snoozed_until is None or seen_at >= snoozed_until):
        return "new"
    return state


def hours_after(hours: Mapping[str, int], added: Mapping[int, int]) -> dict[str, int]:
    """The failures by the hour with those that were added, without hours that are long past."""
    summed = {int(hour): count for hour, count in hours.items()}
    for hour, count in added.items():
        summed[hour] = summed.get(hour, 0) + count
    first = max(summed, default=0) - HOURS_KEPT
    return {str(hour): count for hour, count in sorted(summed.items()) if hour > first}


def trend(hours: Mapping[str, int], *, until: int, count: int = 24) -> list[int]:
    """The failures of the latest hours up to hour `until`, one number each."""
    return [hours.get(str(hour), 0) for hour in range(until - count + 1, until + 1)]

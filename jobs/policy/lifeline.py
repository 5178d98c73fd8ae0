"""A run's life on one bar: where it waited, and where an attempt ran. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Stretch:
    """A part of the bar, in its units. Where it does not run, it waits."""

    runs: bool
    x: float
    width: float


@dataclass(frozen=True)
class Lifeline:
    """The bar, and how long all its waiting and running were."""

    stretches: tuple[Stretch, ...]
    waited: timedelta
    ran: timedelta


def lifeline(
    asked_at: datetime, ends_at: datetime, attempts: Sequence[tuple[datetime, datetime]], *, width: float, least: float
) -> Lifeline | None:
    """The life from `asked_at` to `ends_at` as a bar of `width`; None where it took no time.

    An attempt is at least `least` wide: what ran shows, however short it was beside its wait.
    """
    total = (ends_at - asked_at).total_seconds()
    if total <= 0:
        return None
    ran = timedelta(0)
    stretches: list[Stretch] = []
    at, x = asked_at, 0.0
    for began, ended in sorted(attempts):
        began, ended = max(began, at), min(max(ended, began), ends_at)
        if began >= ends_at or ended < began:
            continue
        left = max(x, min(width - least, width * (began - asked_at).total_seconds() / total))
        right = min(width, max(left + least, width * (ended - asked_at).total_seconds() / total))
        if left > x:
            stretches.append(Stretch(runs=False, x=round(x, 2), width=round(left - x, 2)))
        stretches.append(Stretch(runs=True, x=round(left, 2), width=round(right - left, 2)))
        ran += ended - began
        at, x = ended, right
    if x < width:
        stretches.append(Stretch(runs=False, x=round(x, 2), width=round(width - x, 2)))
    return Lifeline(tuple(stretches), ends_at - asked_at - ran, ran)

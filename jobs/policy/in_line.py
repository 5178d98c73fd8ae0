"""Whether a run is in a place where it may be taken from, and how many are taken before it. Reads no clock."""

from __future__ import annotations

from jobs.policy.whereabouts import COUNTED, Whereabouts


def is_in_a_place(place: Whereabouts) -> bool:
    """Whether it is where its hash says that it is."""
    if place.kind != "hash":
        return False
    if place.status == "deferred":
        return True
    if place.status == "scheduled":
        return place.due_at is not None
    if place.suspects.ahead is not None or place.queue.ahead is not None:
        return True
    # What is not among the first 10,000 of a longer list may stand further back.
    lists = [place.lane.listed, place.queue] if place.lane else [place.queue]
    in_lane = place.lane is not None and place.lane.is_known and place.lane.listed.ahead is not None
    return in_lane or any(each.ahead is None and each.length > COUNTED for each in lists)


def count_ahead(place: Whereabouts) -> int | None:
    """How many start before it; None where it is not in line, or in a lane that has no turn now."""
    lane = place.lane
    if place.status != "queued" or place.suspects.ahead is not None or not is_in_a_place(place):
        return None
    if lane is None:
        beyond = place.queue.length if place.queue.ahead is None else place.queue.ahead
        # Lanes and the list take turns, half and half.
        return beyond + min(beyond, place.laned)
    if lane.fuse is not None or lane.is_parked or any(limit.is_full for limit in lane.limits):
        return None
    own = lane.listed.length if lane.listed.ahead is None else lane.listed.ahead
    before = own * max(1, lane.ready)
    return before + min(before, place.queue.length)

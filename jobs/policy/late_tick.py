"""What listeners and a callback are told of a due time whose run did not start."""

from __future__ import annotations

from typing import TypedDict


class LateTick(TypedDict):
    """What a job that is named as `on_late` gets as its one argument.

    `due` is the time that passed, `until` the last one of a stretch of `count` that were missed together. `state` is
    what became of it: "asked", "waiting", "missed" or "failed"; `why` says it in words. `run_id` is empty where no run
    was asked for. Times are ISO texts, in the schedule's time zone.
    """

    schedule: str
    job: str
    queue: str
    due: str
    until: str
    count: int
    state: str
    why: str
    run_id: str
    late_seconds: float
    at: str

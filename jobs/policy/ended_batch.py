"""What the callback of a batch is told."""

from __future__ import annotations

from typing import TypedDict


class EndedBatch(TypedDict):
    """What a job gets as its one argument that a batch calls back, and that was given to it as it is.

    `event` is "death", "complete" or "success". The counts are those of that moment; `at` is an ISO time.
    """

    batch: int
    name: str
    key: str | None
    event: str
    state: str
    total: int
    succeeded: int
    dead: int
    discarded: int
    cancelled: int
    at: str

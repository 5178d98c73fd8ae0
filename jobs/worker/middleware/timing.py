"""Each attempt ends at its time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobs.context import CurrentRun
from jobs.worker import deadlines


def time_limit(get_result: Callable[[CurrentRun], Any]) -> Callable[[CurrentRun], Any]:
    """Raise `JobTimedOut` in an attempt that runs longer than its `timeout`."""

    def middleware(run: CurrentRun) -> Any:
        with deadlines.limit(run.timeout + (deadlines.LOOP_GRACE_SECONDS if run.is_async else 0)):
            return get_result(run)

    return middleware

"""One line for each attempt."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from jobs.context import CurrentRun, logger_of


def logs(get_result: Callable[[CurrentRun], Any]) -> Callable[[CurrentRun], Any]:
    """Log how each attempt ended and how long it took. A failure is no error yet: it may be retried."""

    def middleware(run: CurrentRun) -> Any:
        if not logger_of(run.name).isEnabledFor(logging.INFO):
            return get_result(run)
        started = time.monotonic()
        ended_as = "returned"
        try:
            return get_result(run)
        except BaseException as error:
            ended_as = type(error).__name__
            raise
        finally:
            elapsed_ms = round((time.monotonic() - started) * 1000)
            facts = {"outcome": ended_as, "elapsed_ms": elapsed_ms, "queue": run.queue}
            run.logger.info("%s attempt %s: %s after %s ms", run.name, run.attempt, ended_as, elapsed_ms, extra=facts)

    return middleware

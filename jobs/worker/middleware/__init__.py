"""Functions around an attempt, as Django's are around a request.

Each takes `get_result` and gives back a function of a `CurrentRun` that calls it:

    def slow_log(get_result):
        def middleware(run):
            started = time.monotonic()
            try:
                return get_result(run)
            finally:
                run.logger.info("took %.1f s", time.monotonic() - started)
        return middleware

`JOBS["MIDDLEWARE"]` lists them, the outermost first. What must not be lost is no middleware's business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from typing import Any

from django.utils.module_loading import import_string

from jobs import conf
from jobs.context import CurrentRun
from jobs.worker.middleware.database import database_connections
from jobs.worker.middleware.logging import logs
from jobs.worker.middleware.timing import time_limit

GetResult = Callable[[CurrentRun], Any]
Middleware = Callable[[GetResult], GetResult]

__all__ = ["GetResult", "Middleware", "chain", "database_connections", "logs", "time_limit"]


def chain() -> GetResult:
    """The function that runs an attempt through all middleware."""
    return _chain(tuple(conf.get().MIDDLEWARE))


@cache
def _chain(paths: tuple[str, ...]) -> GetResult:
    innermost: GetResult = _call
    return reduce(lambda inner, path: import_string(path)(inner), reversed(paths), innermost)


def _call(run: CurrentRun) -> Any:
    return run.call()

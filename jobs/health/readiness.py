"""Whether a process can serve: database, Redis and migrations, each in one word. Reasons go to the log only."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error, connections, router
from django.db.migrations.executor import MigrationExecutor

from jobs.broker import inspect
from jobs.broker.connection import impatient
from jobs.errors import BrokerUnavailable
from jobs.models import JobRun

logger = logging.getLogger(__name__)

OK, PENDING, DOWN = "ok", "pending", "down"


def parts(*, log_level: int = logging.WARNING) -> dict[str, str]:
    """`database`, `redis` and `migrations`: each `ok`, `pending` where one waits to be applied, or `down`."""
    return {name: _word(name, check, log_level) for name, check in _CHECKS.items()}


def is_ready(told: dict[str, str]) -> bool:
    """Whether all `parts` are as they should be."""
    return all(word == OK for word in told.values())


def _word(name: str, check: Callable[[], bool], log_level: int) -> str:
    try:
        return OK if check() else PENDING
    except (Error, BrokerUnavailable) as error:
        # The reason is for the log: the page may be public.
        logger.log(log_level, "not ready", extra={"part": name, "error": str(error)})
        return DOWN


def _ask(connection: object) -> bool:
    with connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("SELECT 1")
    return True


def _database() -> bool:
    return _ask(connections[router.db_for_write(JobRun)])


def _redis() -> bool:
    # Whoever probes gives up after some seconds, and would not hear which part it is.
    with impatient():
        inspect.ping()
    return True


def _migrations() -> bool:
    executor = MigrationExecutor(connections[router.db_for_write(JobRun)])
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


_CHECKS: dict[str, Callable[[], bool]] = {"database": _database, "redis": _redis, "migrations": _migrations}

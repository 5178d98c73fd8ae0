"""Whether this process lives, and whether it can serve. Tells a prober no more than that."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.broker.connection import client, errors_named
from jobs.errors import BrokerUnavailable

logger = logging.getLogger(__name__)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers. Asks nothing of the database or of Redis: restart on this one."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database and Redis answer and no migration is missing, else 503: route traffic by this one."""
    parts = {name: _verdict(name, check) for name, check in _CHECKS.items()}
    is_ready = all(verdict == "ok" for verdict in parts.values())
    return JsonResponse({"status": "ok" if is_ready else "unavailable", **parts}, status=200 if is_ready else 503)


def _verdict(name: str, check: Callable[[], bool]) -> str:
    try:
        return "ok" if check() else "pending"
    except (Error, BrokerUnavailable) as error:
        # The reason is for the log: the page may be public.
        logger.warning("not ready", extra={"part": name, "error": str(error)})
        return "down"


def _database_answers() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _redis_answers() -> bool:
    with errors_named():
        return bool(client().ping())


def _migrations_are_applied() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


_CHECKS: dict[str, Callable[[], bool]] = {
    "database": _database_answers,
    "redis": _redis_answers,
    "migrations": _migrations_are_applied,
}

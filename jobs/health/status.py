"""How everything stands now, as numbers and texts: what `jobs_status` shows. What cannot be asked is None."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import Error
from django.utils import timezone

from jobs import alerts, circuits, conf, queues, relay, workers
from jobs.broker import inspect
from jobs.broker.connection import impatient
from jobs.errors import BrokerUnavailable
from jobs.health import readiness
from jobs.models import JobRun, RunState
from jobs.policy import wellness

logger = logging.getLogger(__name__)

# Counting further costs more than it tells: at this number it reads "10,000 or more".
COUNT_CAP = 10_000
# What is told of each queue: the keys of `queues.as_json()`.
QUEUE_KEYS = (
    *("queue", "forecast", "depth", "running", "scheduled", "workers", "threads", "threads_needed", "workers_needed"),
    *("oldest_wait_seconds", "in_per_minute", "out_per_minute", "run_seconds", "eta_seconds", "target_seconds"),
    *("paused", "paused_by"),
)


def status() -> dict[str, Any]:
    """The keys are documented, and stay. Raises nothing where the database or Redis is away: it says so."""
    with impatient():
        told = readiness.parts(log_level=logging.DEBUG)
        seen: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": conf.host(),
            "release": conf.release(),
            "database": told["database"] == readiness.OK,
            "redis": told["redis"] == readiness.OK,
            "migrations": None if told["migrations"] == readiness.DOWN else told["migrations"] == readiness.OK,
        }
        seen |= {name: _asked(part, seen) for name, part in _PARTS.items()}
    found = wellness.problems(seen)
    return {"ok": not found, "problems": [vars(one) for one in found], **seen}


def is_alive_here() -> bool | None:
    """Whether a worker's process lives on this host; None while Redis cannot be asked."""
    try:
        with impatient():
            return any(one.host == conf.host() for one in workers.live())
    except BrokerUnavailable:
        return None


def _asked(part: Callable[[dict[str, Any]], Any], seen: dict[str, Any]) -> Any:
    try:
        return part(seen)
    except (Error, BrokerUnavailable) as error:
        logger.debug("not told", extra={"error": str(error)})
        return None


def _queues(seen: dict[str, Any]) -> list[dict[str, Any]]:
    if seen["database"]:
        found: list[dict[str, Any]] = queues.as_json()["queues"]
        return found
    # The same keys; what only the database knows is None, and nothing is forecast.
    names = conf.queue_names()
    waits = inspect.waits_now(names)
    return [
        {
            **dict.fromkeys(QUEUE_KEYS),
            "queue": now.name,
            "forecast": "unknown",
            "depth": now.depth,
            "running": now.started,
            "scheduled": now.scheduled,
            "oldest_wait_seconds": round(waits[now.name], 3),
        }
        for now in inspect.queues_now(names)
    ]


def _workers(seen: dict[str, Any]) -> dict[str, Any]:
    children = [one for one in workers.live() if one.kind == "child"]
    return {
        "live": len(children),
        "threads": sum(one.threads for one in children),
        "busy": sum(one.busy for one in children),
        "hosts": sorted({one.host for one in children}),
        "releases": sorted({one.release for one in children}),
    }


def _recorder(seen: dict[str, Any]) -> dict[str, Any]:
    now = inspect.journal_now()
    return {"waiting": now.length, "lag_seconds": round(now.lag_seconds, 3)}


def _not_pushed(seen: dict[str, Any]) -> dict[str, Any]:
    waits = relay.backlog()
    return {"count": waits.count, "oldest_seconds": round(waits.lag.total_seconds(), 1)}


def _runs(seen: dict[str, Any]) -> dict[str, int]:
    return {str(state): JobRun.objects.filter(state=state)[:COUNT_CAP].count() for state in RunState.values}


def _incidents(seen: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "kind": one.kind,
            "of": one.scope,
            "severity": one.severity,
            "since": timezone.localtime(one.opened_at, UTC).isoformat(timespec="seconds"),
            "value": one.value,
            "limit": one.limit,
        }
        for one in alerts.open_incidents()
    ]


def _circuits(seen: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": one.name, "phase": one.phase} for one in circuits.statuses() if one.phase != "closed"]


def _paused(seen: dict[str, Any]) -> list[str]:
    return sorted(queues.paused())


_PARTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "queues": _queues,
    "workers": _workers,
    "recorder": _recorder,
    "not_pushed": _not_pushed,
    "runs": _runs,
    "incidents": _incidents,
    "circuits": _circuits,
    "paused": _paused,
}

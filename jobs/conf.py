"""The `JOBS` setting: every key with its type, default, unit and meaning. Read when used."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed


def _default_middleware() -> list[str]:
    return [
        "jobs.worker.middleware.logs",
        "jobs.worker.middleware.database_connections",
        "jobs.worker.middleware.time_limit",
    ]


def _default_keep_days() -> dict[str, float]:
    return {"succeeded": 7, "discarded": 30, "cancelled": 30, "dead": 90}


@dataclass(frozen=True)
class Conf:
    """One deployment's choices. A key exists only if two deployments would differ."""

    RELEASE: str = field(default="", metadata={"help": "Name of the running code, shown beside each attempt"})
    MIDDLEWARE: list[str] = field(
        default_factory=_default_middleware, metadata={"help": "Functions around an attempt, outermost first"}
    )
    DEFAULT_TIMEOUT: float = field(default=300.0, metadata={"help": "Seconds one attempt may take"})
    MAX_ARGUMENT_BYTES: int = field(default=100_000, metadata={"help": "Bytes of JSON that arguments may be"})
    MAX_RESULT_BYTES: int = field(default=10_000, metadata={"help": "Bytes of JSON that a kept result may be"})
    SENSITIVE: list[str] = field(default_factory=list, metadata={"help": "More argument names that are masked"})
    BULK_LIMIT: int = field(default=10_000, metadata={"help": "Jobs that one bulk action may touch"})
    KEEP_DAYS: dict[str, float] = field(
        default_factory=_default_keep_days, metadata={"help": "Days that ended runs are kept, by state"}
    )
    LEASE: float = field(default=15.0, metadata={"help": "Seconds after which a silent worker's runs are taken back"})
    REDIS_CONNECT_TIMEOUT: float = field(default=2.0, metadata={"help": "Seconds to connect to Redis or Valkey"})
    REDIS_READ_TIMEOUT: float = field(default=5.0, metadata={"help": "Seconds to wait for an answer"})
    REDIS_POOL_SIZE: int = field(default=50, metadata={"help": "Connections one process may hold"})


KEYS = tuple(item.name for item in fields(Conf))

_cached: Conf | None = None


def get() -> Conf:
    """The settings in force. Unknown keys are left to the system check `jobs.E001`."""
    global _cached
    if _cached is None:
        given = getattr(settings, "JOBS", {})
        _cached = Conf(**{key: value for key, value in given.items() if key in KEYS})
    return _cached


def keep_days() -> dict[str, float]:
    """Days that ended runs are kept, by state: the defaults under what `KEEP_DAYS` names."""
    return _default_keep_days() | get().KEEP_DAYS


def release() -> str:
    """The running code's name, empty when none is set."""
    return get().RELEASE


def queue_names() -> list[str]:
    """The queues of `RQ_QUEUES`."""
    return list(getattr(settings, "RQ_QUEUES", {}))


def redis_url(queue: str | None = None) -> str:
    """The address of the server that holds the queues."""
    queues = getattr(settings, "RQ_QUEUES", {})
    names = [queue] if queue else list(queues)
    return queues[names[0]]["URL"] if names and "URL" in queues.get(names[0], {}) else settings.REDIS_URL


def host() -> str:
    return socket.gethostname()


def _forget(*, setting: str, **kwargs: Any) -> None:
    global _cached
    if setting == "JOBS":
        _cached = None


setting_changed.connect(_forget, dispatch_uid="jobs.conf")

"""The `JOBS` setting: every key with its type, default, unit and meaning. Read when used."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signals import setting_changed

from jobs.policy import alert_choices, patterns, redaction
from jobs.policy.options import LONGEST_TIMEOUT_SECONDS


@dataclass(frozen=True)
class Kind:
    """What a value must be: in words, and as a test."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_strings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _are_modules(value: Any) -> bool:
    return _are_strings(value) and all(
        all(word.isidentifier() for word in module.removesuffix(".*").split(".")) for module in value
    )


def _are_patterns(value: Any) -> bool:
    return _are_strings(value) and not any(patterns.problem_of(pattern) for pattern in value)


def _are_days(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(days) and days >= 0 for days in value.values())


def _are_targets(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(queue, str) and _is_number(seconds) and seconds > 0 for queue, seconds in value.items()
    )


def _is_udp(value: Any) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme == "udp" and bool(parts.hostname) and bool(parts.port) and not parts.path.strip("/")
    except (ValueError, TypeError, AttributeError):
        return False


_TEXT = Kind("a string", lambda value: isinstance(value, str))
_STATSD = Kind('empty, or an address such as "udp://127.0.0.1:8125"', lambda value: value == "" or _is_udp(value))
_NAMES = Kind("a list of strings", _are_strings)
_MODULES = Kind('a list of modules such as "shop.tasks" or "shop.*"', _are_modules)
_PATTERNS = Kind("a list of regular expressions, none of which repeats what repeats or matches nothing", _are_patterns)
_PATHS = Kind("a list of dotted paths", _are_strings)
_COUNT = Kind("a whole number above 0", _is_count)
_LINES = Kind(
    "a whole number from 0", lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0
)
_SECONDS = Kind("a number of seconds above 0", lambda value: _is_number(value) and value > 0)
_TIMEOUT = Kind(
    f"a number of seconds above 0, up to {LONGEST_TIMEOUT_SECONDS} (30 days)",
    lambda value: _is_number(value) and 0 < value <= LONGEST_TIMEOUT_SECONDS,
)
# A supervisor renews its leases each second.
_LEASE = Kind("a number of seconds from 1", lambda value: _is_number(value) and value >= 1)
_SWITCH = Kind("True or False", lambda value: isinstance(value, bool))
_DAYS_LONG = Kind("a number of days from 0 to 36,525", lambda value: _is_number(value) and 0 <= value <= 36_525)
_TARGETS = Kind("a dict of queues and seconds, each a number above 0", _are_targets)
_DAYS = Kind("a dict of states and days, each a number from 0", _are_days)
_ALERTS = Kind(alert_choices.WORDS, alert_choices.fits)


def _one_of(*words: str) -> Kind:
    told = ", ".join(f'"{word}"' for word in words[:-1])
    return Kind(f'{told} or "{words[-1]}"', lambda value: isinstance(value, str) and value in words)


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

    RELEASE: str = field(
        default="", metadata={"help": "Name of the running code, shown beside each attempt", "kind": _TEXT}
    )
    MIDDLEWARE: list[str] = field(
        default_factory=_default_middleware,
        metadata={"help": "Functions around an attempt, outermost first", "kind": _PATHS},
    )
    DEFAULT_TIMEOUT: float = field(default=300.0, metadata={"help": "Seconds one attempt may take", "kind": _TIMEOUT})
    MAX_ARGUMENT_BYTES: int = field(
        default=100_000, metadata={"help": "Bytes of JSON that arguments may be", "kind": _COUNT}
    )
    MAX_RESULT_BYTES: int = field(
        default=10_000, metadata={"help": "Bytes of JSON that a kept result may be", "kind": _COUNT}
    )
    TRACEBACK_LINES: int = field(
        default=100, metadata={"help": "Last lines of a traceback that are kept", "kind": _LINES}
    )
    LOG_FORMAT: str = field(
        default="plain",
        metadata={"help": "How `jobs.logs.Formatter` writes lines", "kind": _one_of("plain", "json")},
    )
    ERROR_TRACKER: str = field(
        default="", metadata={"help": 'Who is told of dead jobs: "sentry", or a dotted path', "kind": _TEXT}
    )
    ERROR_TRACKER_HEARS: str = field(
        default="deaths",
        metadata={"help": "What the error tracker is told of", "kind": _one_of("deaths", "failures")},
    )
    TRACING: str = field(
        default="off",
        metadata={"help": "How spans of attempts stand to their enqueue's", "kind": _one_of("off", "child", "link")},
    )
    ON_DEATH: str = field(default="", metadata={"help": "A job that is enqueued for each dead one", "kind": _TEXT})
    ON_FAILURE: str = field(
        default="", metadata={"help": "A job that is enqueued for each failed attempt", "kind": _TEXT}
    )
    ON_LATE: str = field(
        default="", metadata={"help": "A job that is enqueued for each due time whose run did not start", "kind": _TEXT}
    )
    SCHEDULES: bool = field(
        default=True, metadata={"help": "Whether workers ask for the runs of schedules", "kind": _SWITCH}
    )
    SCHEDULE_LATE_AFTER: float = field(
        default=300.0,
        metadata={"help": "Seconds after which a due time whose run has not started is told as late", "kind": _SECONDS},
    )
    SENSITIVE: list[str] = field(
        default_factory=list, metadata={"help": "More argument names that are masked", "kind": _NAMES}
    )
    REDACT_PATTERNS: list[str] = field(
        default_factory=list, metadata={"help": "More of what is masked in texts, by its look", "kind": _PATTERNS}
    )
    BULK_LIMIT: int = field(default=100_000, metadata={"help": "Jobs that one bulk action may touch", "kind": _COUNT})
    BULK_QUEUE: str = field(
        default="", metadata={"help": "The queue of bulk actions' own runs; empty: the first", "kind": _TEXT}
    )
    KEEP_DAYS: dict[str, float] = field(
        default_factory=_default_keep_days, metadata={"help": "Days that ended runs are kept, by state", "kind": _DAYS}
    )
    KEEP_DEAD: int = field(
        default=10_000, metadata={"help": "Dead jobs that are kept, however young they are", "kind": _COUNT}
    )
    UNDO_DAYS: float = field(
        default=7, metadata={"help": "Days in which a discarded dead job can be had back", "kind": _DAYS_LONG}
    )
    QUEUE_TARGETS: dict[str, float] = field(
        default_factory=dict,
        metadata={"help": "Seconds that a queue's oldest run should wait at the most, by queue", "kind": _TARGETS},
    )
    LEASE: float = field(
        default=15.0, metadata={"help": "Seconds after which a silent worker's runs are taken back", "kind": _LEASE}
    )
    JOURNAL_LIMIT: int = field(
        default=100_000, metadata={"help": "Unrecorded entries at which workers stop claiming", "kind": _COUNT}
    )
    REDIS_CONNECT_TIMEOUT: float = field(
        default=2.0, metadata={"help": "Seconds to connect to Redis or Valkey", "kind": _SECONDS}
    )
    REDIS_READ_TIMEOUT: float = field(default=5.0, metadata={"help": "Seconds to wait for an answer", "kind": _SECONDS})
    REDIS_POOL_SIZE: int = field(default=50, metadata={"help": "Connections one process may hold", "kind": _COUNT})
    ALERTS: dict[str, Any] = field(
        default_factory=dict,
        metadata={"help": "Who is told of what goes wrong, by which channels", "kind": _ALERTS},
    )
    METRICS_TOKEN: str = field(
        default="",
        metadata={"help": "What a scraper of /metrics shows; empty: nobody but staff reads it", "kind": _TEXT},
    )
    STATSD: str = field(
        default="",
        metadata={"help": "Where figures are sent by StatsD's protocol, as udp://host:8125", "kind": _STATSD},
    )
    FAILPOINTS: bool = field(
        default=False, metadata={"help": "Whether JOBS_FAILPOINT may kill processes, for tests only", "kind": _SWITCH}
    )

    FOREIGN_JOBS: list[str] = field(
        default_factory=list,
        metadata={"help": "Modules whose functions plain RQ code may enqueue", "kind": _MODULES},
    )
    FOREIGN_PICKLE: bool = field(
        default=False, metadata={"help": "Whether pickles that plain RQ code wrote are read", "kind": _SWITCH}
    )


KEYS = tuple(item.name for item in fields(Conf))
KINDS: dict[str, Kind] = {item.name: item.metadata["kind"] for item in fields(Conf)}
STATES = tuple(_default_keep_days())
# Of a queue that `QUEUE_TARGETS` does not name: as long as a person waits for an e-mail without asking for it again.
DEFAULT_QUEUE_TARGET_SECONDS = 60.0

_cached: Conf | None = None


def get() -> Conf:
    """The settings in force. What is wrong with them is left to the system checks `jobs.E001` and `jobs.E009`."""
    global _cached
    if _cached is None:
        _cached = Conf(**{key: value for key, value in given().items() if key in KEYS})
        known = _cached.REDACT_PATTERNS
        redaction.learn(known if KINDS["REDACT_PATTERNS"].fits(known) else [])
    return _cached


def given() -> dict[str, Any]:
    """What `JOBS` says; nothing where it is no dict."""
    choices = getattr(settings, "JOBS", {})
    return choices if isinstance(choices, dict) else {}


def keep_days() -> dict[str, float]:
    """Days that ended runs are kept, by state: the defaults under what `KEEP_DAYS` names."""
    return _default_keep_days() | get().KEEP_DAYS


def queue_target(queue: str) -> float:
    """Seconds that the oldest run of a queue should wait at the most."""
    return get().QUEUE_TARGETS.get(queue, DEFAULT_QUEUE_TARGET_SECONDS)


def release() -> str:
    """The running code's name, empty when none is set."""
    return get().RELEASE


def queue_names() -> list[str]:
    """The queues of `RQ_QUEUES`."""
    return list(queues())


def bulk_queue() -> str:
    """Where bulk actions themselves run: they must not wait behind what they let go."""
    return get().BULK_QUEUE or next(iter(queues()), "default")


def queues() -> dict[str, dict[str, Any]]:
    """What `RQ_QUEUES` says of each queue; nothing where it is no dict."""
    choices = getattr(settings, "RQ_QUEUES", {})
    if not isinstance(choices, dict):
        return {}
    return {name: options if isinstance(options, dict) else {} for name, options in choices.items()}


def redis_url(queue: str | None = None) -> str:
    """The address of the server that holds the queues."""
    names = [queue] if queue else queue_names()
    options = queues().get(names[0], {}) if names else {}
    return options.get("URL") or settings.REDIS_URL


def host() -> str:
    return socket.gethostname()


def _forget(*, setting: str, **kwargs: Any) -> None:
    global _cached
    if setting == "JOBS":
        _cached = None
        get()


setting_changed.connect(_forget, dispatch_uid="jobs.conf")

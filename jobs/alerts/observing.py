"""Reads what rules look at, from the tables and from Redis. Changes nothing.

Each reader fails alone: its rules are then not known, which is told as a problem. Only the database's own errors are
raised: without it nothing can be stored either. Readers of Redis are left out while it does not answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError

from jobs.alerts import in_redis, in_tables
from jobs.broker import inspect
from jobs.broker.connection import impatient
from jobs.errors import BrokerUnavailable
from jobs.policy import storable
from jobs.policy.alert_rules import LONGEST_SCOPE
from jobs.policy.alerting import Reading

logger = logging.getLogger(__name__)

ByScope = dict[str, Reading]
Found = Mapping[str, ByScope]
Reader = Callable[[datetime], Found]

_OF_TABLES: Mapping[str, Reader] = {
    "figures": in_tables.figures,
    "schedules": in_tables.late_schedules,
    "workflows": in_tables.stalled_workflows,
    "relay": in_tables.unpushed,
    "pauses": in_tables.pauses,
}
_OF_REDIS: Mapping[str, Reader] = {
    "queues": in_redis.queues_now,
    "recorder": in_redis.recorder,
    "server": in_redis.server,
    "circuits": in_redis.circuits_open,
}


@dataclass
class Look:
    """What one look at all rules has found. `problems` says what could not be looked at; `notes` are for the next."""

    readings: dict[str, ByScope] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def observe(now: datetime, notes: Mapping[str, Any], last: datetime | None) -> Look:
    """Look at everything. `notes` are those of the look before, which was at `last`."""
    look = Look()
    for name, reader in _OF_TABLES.items():
        _read(look, name, reader, now)
    _read(look, "retries", lambda now: _retrying(look, notes, now), now)
    with impatient():
        _read_redis(look, now)
    gap = (now - last).total_seconds() if last else 0.0
    look.readings["silence"] = {"": Reading(gap, since=last)}
    look.readings["unchecked"] = {name: Reading(1, why) for name, why in look.problems.items()}
    return look


def _retrying(look: Look, notes: Mapping[str, Any], now: datetime) -> Found:
    found, look.notes["retrying"] = in_tables.retrying(now, notes.get("retrying", []))
    return found


def _read_redis(look: Look, now: datetime) -> None:
    try:
        inspect.ping()
    except BrokerUnavailable as error:
        look.readings["redis"] = {"": Reading(1, str(error)[:400])}
        return
    look.readings["redis"] = {}
    for name, reader in _OF_REDIS.items():
        _read(look, name, reader, now)


def _read(look: Look, name: str, reader: Reader, now: datetime) -> None:
    try:
        look.readings.update({kind: _storable(by_scope) for kind, by_scope in reader(now).items()})
    except (OperationalError, InterfaceError):
        raise
    except BrokerUnavailable as error:
        look.readings["redis"] = {"": Reading(1, str(error)[:400])}
    # Whatever is wrong with one of them, the others are looked at.
    except Exception as error:
        look.problems[name] = storable.text(f"{type(error).__name__}: {error}")[:400]
        logger.exception("alert rules cannot be looked at: %s", name)


def _storable(by_scope: Mapping[str, Reading]) -> ByScope:
    """As a row takes it: what Redis says, and what an argument brought there, may be anything."""
    return {
        storable.text(scope)[:LONGEST_SCOPE]: replace(reading, words=storable.text(reading.words))
        for scope, reading in by_scope.items()
    }

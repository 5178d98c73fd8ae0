"""What Redis, the database and this host are like. Reads, and asks for nothing that a viewer may not know."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from django.contrib.auth.models import Group, Permission
from django.db import connections, router

from jobs import roles
from jobs.broker import inspect
from jobs.health import readiness
from jobs.health.doctor.finding import ERROR, WARNING, Finding
from jobs.models import JobRun, RoleGrant
from jobs.policy.roles import ROLES

# Leases last 15 s, and due times are compared by whoever has them at hand.
_SKEW_SECONDS, _BAD_SKEW_SECONDS = 1.0, 5.0
_LEAST_FREE_BYTES = 500_000_000
# Of the memory that the server may use.
_FULL = 0.8
_ISOLATION = "read committed"


def _answers() -> Iterator[Finding]:
    told = readiness.parts(log_level=logging.DEBUG)
    if told["database"] != readiness.OK:
        yield Finding(
            "database",
            ERROR,
            "The database does not answer.",
            "Nothing can be enqueued, and nothing is recorded.",
            "Start it, or correct DATABASES.",
        )
    if told["migrations"] == readiness.PENDING:
        yield Finding(
            "migrations",
            ERROR,
            "A migration waits to be applied.",
            "Code that is newer than its tables fails where they differ.",
            "Run manage.py migrate.",
        )


def _redis_clock() -> Iterator[Finding]:
    before = time.time()
    theirs = inspect.clock()
    ours = (before + time.time()) / 2
    yield from _skewed("Redis", theirs - ours)


def _database_clock() -> Iterator[Finding]:
    connection = connections[router.db_for_write(JobRun)]
    if connection.vendor != "postgresql":
        return
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        theirs = float(cursor.fetchone()[0])
    yield from _skewed("the database", theirs - (before + time.time()) / 2)


def _skewed(server: str, seconds: float) -> Iterator[Finding]:
    if abs(seconds) < _SKEW_SECONDS:
        return
    yield Finding(
        "clock",
        ERROR if abs(seconds) >= _BAD_SKEW_SECONDS else WARNING,
        f"The clock of {server} differs from this host's by {seconds:+.1f} s.",
        "Runs start early or late, leases end too soon or too late, and waits are told wrongly.",
        "Let chrony or systemd-timesyncd keep both clocks.",
    )


def _isolation() -> Iterator[Finding]:
    connection = connections[router.db_for_write(JobRun)]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW default_transaction_isolation")
        level = str(cursor.fetchone()[0])
    if level != _ISOLATION:
        yield Finding(
            "isolation",
            ERROR,
            f'Transactions of the database are "{level}".',
            "The recorder and unique jobs count on seeing what others have committed.",
            'Set the default to "read committed", or OPTIONS["isolation_level"].',
        )


def _memory() -> Iterator[Finding]:
    server = inspect.server()
    most, used = int(server.get("maxmemory") or 0), int(server.get("used_memory") or 0)
    if most and used > most * _FULL:
        yield Finding(
            "redis_memory",
            ERROR,
            f"Redis uses {used / most:.0%} of the memory that it may.",
            "A server that is full takes no job, and one that evicts loses them.",
            "Give it more, or find out what fills it: redis-cli --bigkeys.",
        )


def _disk() -> Iterator[Finding]:
    for name, path in _folders():
        free = shutil.disk_usage(path).free
        if free < _LEAST_FREE_BYTES:
            yield Finding(
                "disk",
                WARNING,
                f"The folder of {name} has {free / 1e6:,.0f} MB left.",
                "A large enqueue_many writes a part of itself to disk, and SQLite all of it.",
                "Make room, or set TMPDIR to a folder that has it.",
            )


def _folders() -> Iterator[tuple[str, Path]]:
    yield "temporary files", Path(tempfile.gettempdir())
    connection = connections[router.db_for_write(JobRun)]
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and Path(name).parent.is_dir():
        yield "the database", Path(name).parent


def _permissions() -> Iterator[Finding]:
    there = set(Permission.objects.filter(content_type__app_label="jobs").values_list("codename", flat=True))
    if missing := roles.all_permissions() - there:
        yield Finding(
            "permissions",
            ERROR,
            f"Permissions are missing: {', '.join(sorted(missing))}.",
            "Nobody but a superuser can do what takes them.",
            "Run manage.py migrate.",
        )
    made = set(RoleGrant.objects.values_list("role", flat=True).distinct())
    if set(ROLES) - made and not Group.objects.filter(name__in=roles.GROUPS.values()).exists():
        yield Finding(
            "roles",
            WARNING,
            "The groups of the roles were never made.",
            "Each person needs each permission by hand.",
            "Run manage.py migrate.",
        )


LOOKS = (_answers, _redis_clock, _database_clock, _isolation, _memory, _disk, _permissions)

"""What the settings, the code and the system checks say. Asks the server only by the checks for deployments."""

from __future__ import annotations

import logging
import zoneinfo
from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.db import router

from jobs.health.doctor.finding import ERROR, WARNING, Finding
from jobs.models import JobRun

_SQLITE = "django.db.backends.sqlite3"
# Any zone with summer time that every installation has.
_SOME_ZONE = "Europe/Berlin"
# Why it matters what a check says, where its message does not say so itself.
_WHY = {
    "jobs.E001": "A key that nobody reads changes nothing, and whoever wrote it believes that it does.",
    "jobs.E002": "Runs for a queue that is not there wait for ever.",
    "jobs.E003": "Pickle runs whatever is in Redis.",
    "jobs.E004": "The wrong rqworker loses jobs when it is killed.",
    "jobs.E006": "RQ's own classes lose jobs when a worker is killed.",
    "jobs.W001": "A server that is full throws queues away to make room.",
    "jobs.W002": "Scripts and commands that are needed came with 6.2.",
    "jobs.W003": "Processes that share a connection mix their answers.",
    "jobs.W004": "A scraper gets no numbers, and nobody is told when they end.",
    "jobs.W005": "A policy stops what got into a page all the same.",
    "jobs.W006": "Without it nothing runs.",
    "jobs.W007": "A restart forgets what waits. The rows bring it back, and runs without a row are lost.",
    "jobs.W021": "They take jobs without a lease, and lose them when they are killed.",
    "jobs.W022": "Attempts fail where they only had to wait.",
    "jobs.W023": "At night, nobody should have to read a traceback to learn that the database is away.",
}
_GENERAL = "It keeps jobs from running as they are meant to."


def _checks() -> Iterator[Finding]:
    for one in checks.run_checks(tags=["jobs"], include_deployment_checks=True):
        if one.is_silenced():
            continue
        level = ERROR if one.level >= checks.ERROR else WARNING
        known = str(one.id)
        yield Finding(known, level, str(one.msg), _WHY.get(known, _GENERAL), str(one.hint or "See docs/operations.md."))


def _database_options() -> Iterator[Finding]:
    alias = router.db_for_write(JobRun)
    options = settings.DATABASES.get(alias, {})
    if options.get("ENGINE") == _SQLITE:
        if not settings.DEBUG:
            yield Finding(
                "sqlite",
                WARNING,
                f'The database "{alias}" is SQLite, and DEBUG is off.',
                "One writer at a time, on one host: workers elsewhere cannot reach it, and busy ones wait.",
                "Use PostgreSQL in production.",
            )
        return
    if not options.get("CONN_MAX_AGE"):
        yield Finding(
            "conn_max_age",
            WARNING,
            f'CONN_MAX_AGE of the database "{alias}" is 0.',
            "Each job opens a connection anew, which takes longer than most queries.",
            f'Set DATABASES["{alias}"]["CONN_MAX_AGE"] = 60, and CONN_HEALTH_CHECKS = True.',
        )
    given = options.get("OPTIONS", {})
    if "postgresql" in str(options.get("ENGINE")) and not given.get("connect_timeout"):
        yield Finding(
            "connect_timeout",
            WARNING,
            f'The database "{alias}" has no connect_timeout.',
            "A server that does not even refuse holds each job and each page for minutes.",
            f'Set DATABASES["{alias}"]["OPTIONS"]["connect_timeout"] = 3.',
        )


def _log_level() -> Iterator[Finding]:
    if logging.getLogger("rq").getEffectiveLevel() < logging.WARNING:
        yield Finding(
            "rq_log",
            WARNING,
            'The logger "rq" is below WARNING.',
            "RQ writes arguments into its lines as they are, secrets too.",
            'Set LOGGING["loggers"]["rq"] = {"level": "WARNING"}.',
        )


def _zones() -> Iterator[Finding]:
    try:
        zoneinfo.ZoneInfo(_SOME_ZONE)
    except zoneinfo.ZoneInfoNotFoundError:
        yield Finding(
            "time_zones",
            ERROR,
            "This host has no time zone data.",
            "Schedules in other zones than UTC cannot be reckoned.",
            "Install the system's tzdata, or the Python package tzdata.",
        )


def _debug() -> Iterator[Finding]:
    if settings.DEBUG:
        yield Finding(
            "debug",
            WARNING,
            "DEBUG is on.",
            "Pages of errors show settings and variables, and each query is kept in memory: workers grow.",
            "Set DEBUG = False.",
        )


LOOKS = (_checks, _database_options, _log_level, _zones, _debug)

"""The timetable: the schedules that the code declares, by `@cron` beside their jobs. Stores nothing, and asks nobody.

`jobs.schedules` makes rows of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings

from jobs.errors import BadSchedule, JobsError
from jobs.policy import scheduling
from jobs.policy.scheduling import ALL, ONCE, AllUpTo, Terms
from jobs.registry import Job

AnyJob = TypeVar("AnyJob", bound=Job[Any, Any])

_LONGEST_NAME = 200


class Cronned:
    """What `@cron` gives back: puts the schedule onto a job, and gives the job back."""

    def __init__(self, declared: _Declared) -> None:
        self._declared = declared

    def __call__(self, job: AnyJob) -> AnyJob:
        if not isinstance(job, Job):
            raise BadSchedule(f"@cron was put on {job!r}, which is no job: write it above @job.")
        _add(job, self._declared)
        return job


@dataclass(frozen=True)
class _Declared:
    expression: str
    name: str | None
    timezone: str | None
    options: Mapping[str, Any]


def cron(
    expression: str,
    *,
    name: str | None = None,
    timezone: str | None = None,
    queue: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    missed: str | AllUpTo = ONCE,
    grace: timedelta | float = scheduling.DEFAULT_GRACE_SECONDS,
    overlap: str = scheduling.ALLOW,
    most_waiting: int = scheduling.DEFAULT_WAITING,
    jitter: timedelta | float = 0.0,
    late_after: timedelta | float | None = None,
    on_late: str | Job[Any, Any] | None = None,
) -> Cronned:
    """Have a run of the job below asked for at each time that `expression` says. Goes above `@job`, also several times.

    `expression` has five fields (minute, hour, day, month, weekday) or is one of `@hourly`, `@daily`, `@weekly`,
    `@monthly`, `@yearly`, by the clock of `timezone`; `settings.TIME_ZONE` when left out. `name` is the job's when left
    out, and must be given where a job has several. `queue` replaces the job's. `arguments` are by parameter, plain
    JSON; where a whole value is "{due}", "{day}" or "{month}", the run gets the time for which it was asked.

    `missed` says what becomes of due times that passed while no worker looked: "once" runs the latest, "skip" runs it
    unless it is older than `grace`, `all_up_to(n)` runs the latest n. `overlap` says what becomes of a due time while a
    run of this schedule is pending: "allow", "skip", or "queue" for at most `most_waiting`. `jitter` starts each run
    up to so much later. A run that has not started `late_after` is told as late, to the job `on_late` too; the
    project's `SCHEDULE_LATE_AFTER` and `ON_LATE` when left out. Times are timedeltas or seconds.

    Raises `BadSchedule` when the module is imported.
    """
    options = {
        "queue": queue or "",
        "arguments": dict(arguments or {}),
        **_missed(missed),
        "grace": _seconds(grace),
        "overlap": overlap,
        "most_waiting": most_waiting,
        "jitter": _seconds(jitter),
        "late_after": None if late_after is None else _seconds(late_after),
        "on_late": getattr(on_late, "name", on_late) or "",
    }
    return Cronned(_Declared(expression, name, timezone, options))


_timetable: dict[str, tuple[Job[Any, Any], _Declared]] = {}


def declared() -> dict[str, Terms]:
    """The schedules that the code declares, by name."""
    return {name: _terms(job, one) for name, (job, one) in sorted(_timetable.items())}


def check_fit(job: Job[Any, Any], terms: Terms) -> None:
    """Raises `BadSchedule` where runs of the job cannot be asked for with these terms."""
    if not job.options.durable:
        raise BadSchedule(f"{job.name} is durable=False: a schedule needs the row of its run. Make the job durable.")
    try:
        job.fit((), terms.arguments)
    except JobsError as error:
        raise BadSchedule(f"arguments={terms.arguments!r} do not fit {job.name}: {error}") from error


def _add(job: Job[Any, Any], one: _Declared) -> None:
    name = job.name if one.name is None else one.name
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise BadSchedule(f"{job.name}: name={name!r}: pass a printable text of 1 to {_LONGEST_NAME} characters")
    try:
        check_fit(job, _terms(job, one, timezone=one.timezone or "UTC"))
    except BadSchedule as error:
        raise BadSchedule(f"@cron of {job.name}: {error}") from error
    before = _timetable.get(name)
    # A module that is imported anew makes its jobs anew: it replaces its own schedules.
    if before is not None and (before[0] is job or before[0].name != job.name):
        raise BadSchedule(f'Two schedules are named "{name}": give one of them name="…".')
    _timetable[name] = (job, one)


def _terms(job: Job[Any, Any], one: _Declared, *, timezone: str | None = None) -> Terms:
    zone = timezone or one.timezone or settings.TIME_ZONE
    return Terms(job=job.name, expression=one.expression, timezone=zone, **one.options)


def _missed(missed: str | AllUpTo) -> dict[str, Any]:
    if isinstance(missed, AllUpTo):
        return {"missed": ALL, "most_missed": missed.most}
    if missed == ALL:
        raise BadSchedule('missed="all": say how many at the most, as all_up_to(24)')
    return {"missed": missed, "most_missed": 1}


def _seconds(given: timedelta | float) -> Any:
    """The number of seconds; what is none is refused with the other terms."""
    return given.total_seconds() if isinstance(given, timedelta) else given

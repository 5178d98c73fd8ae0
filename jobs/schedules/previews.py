"""A schedule with the terms that somebody asks for: all that cannot be, or what follows. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.errors import JobsError
from jobs.models import Schedule
from jobs.policy.cron import Cron
from jobs.policy.cron_words import DueTime, due_times
from jobs.policy.scheduling import FIELDS, Terms, changed, differences
from jobs.schedules import operating, rows

SHOWN_TIMES = 5
# Terms that can be, in which others are tried one by one.
_PROBE = Terms(job="any", expression="@daily", timezone="UTC")


@dataclass(frozen=True)
class Preview:
    """What was asked for: `problems` by term, each with its cure, or `terms` that can be.

    `before` and `after` are the terms that would change, as people may see them; `next` are the next due times.
    """

    problems: dict[str, list[str]] = field(default_factory=dict)
    terms: Terms | None = None
    next: list[DueTime] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def preview(told: Mapping[str, Any], *, now: datetime, name: str = "", schedule: Schedule | None = None) -> Preview:
    """A schedule of this name to be added, or one that is there with other terms."""
    before: dict[str, Any] = {one: getattr(schedule, one) for one in FIELDS} if schedule else {}
    wanted = {**_PROBE.as_json(), **before, **told}
    if schedule is not None:
        wanted["arguments"] = rows.unmasked(wanted["arguments"], schedule.arguments)
    problems = _problems(wanted)
    if schedule is not None and (problem := _problem(lambda: rows.check_other_job(schedule.job, str(wanted["job"])))):
        problems.setdefault("job", []).append(problem)
    if schedule is None and (problem := _problem(lambda: operating.check_name(name))):
        problems.setdefault("name", []).append(problem)
    if problems:
        return Preview(problems, next=_times(wanted, now))
    terms = Terms(**wanted)
    changes = differences(before, terms.as_json()) if schedule else []
    return Preview(
        terms=terms,
        next=due_times(terms.cron, now, SHOWN_TIMES),
        before=rows.shown_terms(rows.said(before, changes), terms.job),
        after=rows.shown_terms(rows.said(wanted, changes), terms.job),
    )


def _problems(wanted: Mapping[str, Any]) -> dict[str, list[str]]:
    """All that is wrong, by term: each term by itself first, then what they are together."""
    found: dict[str, list[str]] = {}
    for one in FIELDS:
        try:
            changed(_PROBE, {one: wanted[one]})
        except JobsError as error:
            found.setdefault(one, []).append(str(error))
    sound = {one: wanted[one] for one in FIELDS if one not in found}
    for one, why in rows.problems(changed(_PROBE, sound)):
        if one not in found:
            found[one] = [str(why)]
    return found


def _problem(check: Callable[[], object]) -> str:
    try:
        check()
    except JobsError as error:
        return str(error)
    return ""


def _times(wanted: Mapping[str, Any], now: datetime) -> list[DueTime]:
    """The next due times where these can be told, whatever is wrong with the rest."""
    try:
        return due_times(Cron(wanted["expression"], wanted["timezone"]), now, SHOWN_TIMES)
    except JobsError:
        return []

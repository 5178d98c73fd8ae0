"""`manage.py jobs_schedules`: lists the schedules in words with their next times; pauses, resumes and runs one now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from jobs import schedules
from jobs.errors import JobsError, did_you_mean
from jobs.management.acting import actor, reason_given, takes_reason
from jobs.management.options import read
from jobs.management.reaching import needs_database
from jobs.models import Schedule
from jobs.policy.ages import parse_age
from jobs.schedules import Line

_FOUND, _REFUSED, _MISUSE = 1, 1, 2
_COMMAND = "jobs_schedules"


class Command(BaseCommand):
    """Exit status: 0 done, 1 with findings (`--check`) or refused, 2 asked wrongly, or no database to ask."""

    help = (
        "List the schedules in words, with their next five times, what became of the last one, and where a row differs "
        "from the code. Pause one, resume it, or run it now."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per line")
        parser.add_argument(
            "--check",
            action="store_true",
            help="print what did not start, is overdue, or differs from the code; exit status 1 if anything does",
        )
        parser.add_argument(
            "--sync", action="store_true", help="make the rows follow this code at once, then list them"
        )
        verbs = parser.add_subparsers(dest="verb", metavar="list | pause | resume | run-now")
        verbs.add_parser("list", help="list the schedules; this is what happens without a verb, too")
        pausing = verbs.add_parser("pause", help="ask for no more runs of a schedule")
        pausing.add_argument("--for", dest="length", type=read(parse_age), help="30m, 2d …; until resumed if left out")
        resuming = verbs.add_parser("resume", help="ask for runs again, from the next due time on")
        running = verbs.add_parser("run-now", help="ask for one run at once, also of a schedule that is paused")
        for verb in (pausing, resuming, running):
            verb.add_argument("name", help="the schedule, as listed")
            takes_reason(verb)

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        verb = {"pause": self._pause, "resume": self._resume, "run-now": self._run_now}.get(options["verb"], self._list)
        try:
            verb(options)
        except JobsError as error:
            raise CommandError(str(error), returncode=_REFUSED) from error

    def _list(self, options: dict[str, Any]) -> None:
        if options["sync"]:
            self._sync(options)
        if options["check"]:
            self._check(options)
            return
        lines = schedules.lines()
        for line in lines:
            told = [json.dumps(_facts(line))] if options["as_json"] else _in_words(line)
            self.stdout.writelines(f"{one}\n" for one in told)
        if not lines and not options["as_json"]:
            self.stdout.write("There is no schedule. Declare one by @cron above @job, or add one in the admin.")

    def _sync(self, options: dict[str, Any]) -> None:
        told = schedules.sync(actor=actor(_COMMAND))
        if not options["as_json"]:
            self.stdout.writelines(f"{one}.\n" for one in told or ["The rows say what the code says"])

    def _check(self, options: dict[str, Any]) -> None:
        found = schedules.findings()
        for one in found:
            facts = {"schedule": one.schedule, "kind": one.kind, "words": one.words}
            self.stdout.write(json.dumps(facts) if options["as_json"] else str(one))
        if found:
            count = f"{len(found)} findings" if len(found) > 1 else "1 finding"
            raise CommandError(f"{count}.", returncode=_FOUND)
        if not options["as_json"]:
            self.stdout.write("All schedules run, and say what the code says.")

    def _pause(self, options: dict[str, Any]) -> None:
        why = reason_given(options, kept="with the schedule")
        schedule = _schedule(options["name"])
        until = timezone.now() + options["length"] if options["length"] else None
        schedules.pause(schedule, actor=actor(_COMMAND), reason=why, until=until)
        self.stdout.write(f"Paused {schedule.name}{f' until {until:%Y-%m-%d %H:%M:%S %Z}' if until else ''}.")

    def _resume(self, options: dict[str, Any]) -> None:
        schedule = _schedule(options["name"])
        schedules.resume(schedule, actor=actor(_COMMAND), reason=options["reason"])
        self.stdout.write(f"Resumed {schedule.name}: next at {_first(schedule)}.")

    def _run_now(self, options: dict[str, Any]) -> None:
        schedule = _schedule(options["name"])
        tick = schedules.run_now(schedule, actor=actor(_COMMAND), reason=options["reason"])
        told = f"Asked for run {tick.run}" if tick.state == "asked" else f"Not asked for: {tick.why}, {tick.run}"
        self.stdout.write(f"{told}.")


def _schedule(name: str) -> Schedule:
    found = Schedule.objects.filter(name=name).first()
    if found is None:
        known = list(Schedule.objects.values_list("name", flat=True))
        raise CommandError(f'There is no schedule "{name}".{did_you_mean(name, known)}', returncode=_MISUSE)
    return found


def _first(schedule: Schedule) -> str:
    times = schedules.upcoming(schedule, 1)
    return f"{times[0].at:%Y-%m-%d %H:%M %Z}" if times else "no time"


def _in_words(line: Line) -> Iterator[str]:
    schedule = line.schedule
    yield f"{schedule.name}: {line.words} ({schedule.expression}, {schedule.timezone})"
    queue = f" on {schedule.queue}" if schedule.queue else ""
    arguments = ", ".join(f"{name}={value!r}" for name, value in schedules.shown_arguments(schedule).items())
    yield f"    runs   {schedule.job}({arguments}){queue}; {_policies(schedule)}"
    if schedule.paused_at is not None:
        until = f"until {schedule.paused_until:%Y-%m-%d %H:%M %Z} " if schedule.paused_until else ""
        yield f"    PAUSED {until}by {schedule.paused_by}: {schedule.paused_reason}"
    for one in line.next:
        note = f"  ({one.note})" if one.note else ""
        yield f"    next   {one.at:%a %Y-%m-%d %H:%M %Z}{note}"
    if line.last is not None:
        yield f"    last   {_last(line)}"
    if line.waiting:
        yield f"    {line.waiting} wait for the run before them"
    for drift in line.drift:
        yield f"    DRIFT  {drift}"


def _policies(schedule: Schedule) -> str:
    missed = f"all up to {schedule.most_missed}" if schedule.missed == "all" else schedule.missed
    jitter = f", jitter {schedule.jitter:g} s" if schedule.jitter else ""
    return f"missed: {missed}, overlap: {schedule.overlap}{jitter}"


def _last(line: Line) -> str:
    last = line.last
    assert last is not None
    more = f" and {last.count - 1} more" if last.count > 1 else ""
    by = f" by hand, by {last.by_hand}" if last.by_hand else ""
    told = f"{last.state}{by}{f', run {line.run_state}' if line.run_state else ''}{f': {last.why}' if last.why else ''}"
    late = ", told as late" if last.late_told_at else ""
    return f"{last.due_at:%Y-%m-%d %H:%M:%S %Z}{more} {told}{late}"


def _facts(line: Line) -> dict[str, Any]:
    schedule, last = line.schedule, line.last
    terms = schedules.shown_terms(schedules.terms_said(schedule), schedule.job)
    return {
        "schedule": schedule.name,
        **terms,
        "words": line.words,
        "by_code": schedule.by_code,
        "paused": _paused(schedule) if schedule.paused_at else None,
        "next": [{"at": one.at.isoformat(), "note": one.note} for one in line.next],
        "last": None
        if last is None
        else {
            "due": last.due_at.isoformat(),
            "state": last.state,
            "why": last.why,
            "count": last.count,
            "run": str(last.run) if last.run else None,
            "run_state": line.run_state or None,
            "by_hand": last.by_hand,
            "late": last.late_told_at is not None,
        },
        "waiting": line.waiting,
        "drift": [str(one) for one in line.drift],
    }


def _paused(schedule: Schedule) -> dict[str, Any]:
    until = schedule.paused_until
    return {
        "by": schedule.paused_by,
        "why": schedule.paused_reason,
        "until": until.isoformat() if until else None,
    }

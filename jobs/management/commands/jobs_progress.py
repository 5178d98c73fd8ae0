"""`manage.py jobs_progress`: how far runs are, once or until they end."""

from __future__ import annotations

import contextlib
import json
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from jobs import progress
from jobs.management.options import read
from jobs.management.reaching import needs_database
from jobs.models import JobRun, RunState
from jobs.models.runs import PENDING_STATES
from jobs.policy.progress import Progress, pace
from jobs.policy.spans import in_words

_MISUSE = 2
_LOOK_SECONDS = 0.5
# In a log, a line each half second would bury the rest.
_LINE_SECONDS = 10.0
_BAR = 24
# More runs than these are not on one screen.
_SHOWN = 50
# So many are asked for in one query and one round trip.
_AT_ONCE = 200
_DEAD = 1


class Command(BaseCommand):
    """Exit status: 0 done, 1 the run that was watched did not succeed, 2 asked wrongly, or no database to ask."""

    help = "Show how far the runs are that say it, or one run; --watch follows that one until it ends."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", nargs="?", type=read(_run_id), help="its id; without one, all that run")
        parser.add_argument("--watch", action="store_true", help="go on until the run has ended")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per line")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, *, run: UUID | None, watch: bool, as_json: bool, **options: Any) -> None:
        if run is None:
            if watch:
                raise CommandError("Say which run to watch: jobs_progress RUN --watch.", returncode=_MISUSE)
            self._list(as_json=as_json)
        elif watch:
            # Who has seen enough goes, and the run goes on.
            with contextlib.suppress(KeyboardInterrupt):
                self._watch(run, as_json=as_json)
        else:
            row = _row(run)
            self.stdout.write(_as_json(row, progress.of(row)) if as_json else _line(row, progress.of(row)))

    def _list(self, *, as_json: bool) -> None:
        told = list(islice(_running(), _SHOWN + 1))
        for row, found in told[:_SHOWN]:
            self.stdout.write(_as_json(row, found) if as_json else f"{row.pk} {_line(row, found)}")
        if as_json:
            return
        if not told:
            self.stdout.write("No run says how far it is.")
        elif len(told) > _SHOWN:
            self.stdout.write("More say it: these were asked for first.")

    def _watch(self, run: UUID, *, as_json: bool) -> None:
        is_terminal = self.stdout.isatty() and not as_json
        shown, shown_at, row = "", 0.0, _row(run)
        for row in _looks(run):
            found = progress.of(row)
            line = _as_json(row, found) if as_json else _line(row, found, with_bar=is_terminal)
            is_due = is_terminal or time.monotonic() - shown_at > _LINE_SECONDS or row.state not in PENDING_STATES
            if line != shown and is_due:
                shown, shown_at = line, time.monotonic()
                self.stdout.write(f"\r\x1b[K{line}" if is_terminal else line, ending="" if is_terminal else "\n")
                self.stdout.flush()
        if is_terminal:
            self.stdout.write("")
        if row.state != RunState.SUCCEEDED:
            raise CommandError(f"{row.name} {row.pk} is {row.get_state_display()}.", returncode=_DEAD)


def _running() -> Iterator[tuple[JobRun, Progress]]:
    """The runs under way that say how far they are, however many others say nothing."""
    running = JobRun.objects.filter(state=RunState.RUNNING).defer("payload", "result").order_by("pk")
    rows = running.iterator(chunk_size=_AT_ONCE)
    while some := list(islice(rows, _AT_ONCE)):
        told = progress.of_all(some)
        yield from ((row, told[row.pk]) for row in some if row.pk in told)


def _looks(run: UUID) -> Iterator[JobRun]:
    """The run's row, again and again until it has ended."""
    while (row := _row(run)).state in PENDING_STATES:
        yield row
        time.sleep(_LOOK_SECONDS)
    yield row


def _row(run: UUID) -> JobRun:
    row = JobRun.objects.filter(pk=run).defer("payload").first()
    if row is None:
        raise CommandError(f"There is no run {run}. Copy its id from the admin.", returncode=_MISUSE)
    return row


def _line(row: JobRun, told: Progress | None, *, with_bar: bool = False) -> str:
    words = [f"{row.name} {row.get_state_display()}"]
    if told is not None:
        words.append(f"{_bar(told)}{told}" if with_bar else str(told))
        if row.state == RunState.RUNNING:
            words += _pace(told)
        if told.message:
            words.append(told.message)
    return ", ".join(words)


def _bar(told: Progress) -> str:
    return "" if told.share is None else f"[{'#' * int(_BAR * told.share):<{_BAR}}] "


def _pace(told: Progress) -> list[str]:
    if not (rate := pace(told.rate)):
        return []
    left = told.seconds_left
    return [rate, *([] if left is None else [f"{in_words(round(left))} to go"])]


def _as_json(row: JobRun, told: Progress | None) -> str:
    facts: dict[str, Any] = {"run": str(row.pk), "job": row.name, "state": row.state}
    if told is not None:
        facts |= {"done": told.done, "total": told.total, "unit": told.unit, "message": told.message}
        facts |= {"rate": told.rate, "seconds_left": told.seconds_left, "at": told.at}
    return json.dumps(facts)


def _run_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ValueError(f'"{text}" is no id of a run. Copy it from the admin.') from None

"""`manage.py jobs_why`: why a run is not running."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs import why
from jobs.broker.connection import impatient
from jobs.errors import BrokerUnavailable
from jobs.management.reaching import needs_database
from jobs.why import Answer, Told
from jobs.why.wording import ago

_MISUSE = 2


class Command(BaseCommand):
    """Exit status: 0 told, 2 no such run, no database to ask, or Redis is away and the run has no row."""

    help = "Tell why a run is not running: what keeps it, since when, and what helps. Changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("run", help="its id, or RQ's; also of a run without a row")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, *, run: str, as_json: bool, **options: Any) -> None:
        try:
            with impatient():
                answer = why.of_id(run)
        except BrokerUnavailable as error:
            raise CommandError(
                f"No row has the run {run}, and Redis cannot say: {error}", returncode=_MISUSE
            ) from error
        if answer is None:
            raise CommandError(f"No run has the id {run}. It may have been removed by retention.", returncode=_MISUSE)
        self.stdout.write(json.dumps(_as_json(answer)) if as_json else _as_text(answer))


def _as_text(answer: Answer) -> str:
    lines = [f"{answer.job} {answer.run_id} is {answer.state}, in queue {answer.queue}."]
    for number, reason in enumerate(answer.reasons):
        lines += _lines(why.told(reason), answer.at, is_first=number == 0)
    if answer.unchecked:
        names = "; ".join(why.title_of(check) for check in answer.unchecked)
        lines.append(f"Not looked at, for Redis does not answer: {names}.")
    return "\n".join(lines)


def _lines(told: Told, now: datetime, *, is_first: bool) -> list[str]:
    before = "" if is_first else "also: "
    times = [ago(told.since, now), f"until {told.until.isoformat(timespec='seconds')}" if told.until else ""]
    shown = ", ".join(filter(None, times))
    lines = [f"{before}{told.title}. {told.text}" + (f" ({shown})" if shown else "")]
    return [*lines, f"  {told.cure}"] if told.cure else lines


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "run": answer.run_id,
        "job": answer.job,
        "queue": answer.queue,
        "state": answer.state,
        "at": answer.at.isoformat(),
        "why": answer.reasons[0].why.value if answer.reasons else None,
        "reasons": [_reason(why.told(reason)) for reason in answer.reasons],
        "unchecked": [check.value for check in answer.unchecked],
    }


def _reason(told: Told) -> dict[str, Any]:
    return {
        "why": told.code,
        "title": told.title,
        "text": told.text,
        "cure": told.cure,
        "since": told.since.isoformat() if told.since else None,
        "until": told.until.isoformat() if told.until else None,
        "run": told.run or None,
    }

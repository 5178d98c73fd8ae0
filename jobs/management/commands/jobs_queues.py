"""`manage.py jobs_queues --json`: how each queue stands, what becomes of it, and how many workers it needs."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs import queues
from jobs.management.reaching import needs_database
from jobs.queues import Standing

_COLUMNS = "{:<20} {:>9} {:>9} {:>8} {:>8} {:>8} {:>7} {:>6}  {}"


class Command(BaseCommand):
    """Shows the queues. Changes nothing. Exit status: 0, or 2 where there is no database to ask."""

    help = "Show how each queue stands, what becomes of it, and how many workers it needs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        if options["as_json"]:
            self.stdout.write(json.dumps(queues.as_json()))
            return
        found = queues.standings()
        if not found.answers:
            self.stderr.write("Redis does not answer: what only it knows is shown as ?.")
        heads = ("queue", "waiting", "oldest", "running", "in/min", "out/min", "workers", "needs", "forecast")
        self.stdout.write(_COLUMNS.format(*heads))
        for one in found.queues:
            self.stdout.write(_COLUMNS.format(*_cells(one)))


def _cells(one: Standing) -> tuple[str, ...]:
    counts = (one.running, one.in_per_minute, one.out_per_minute, one.workers, one.workers_needed)
    return (one.name, _number(one.depth), _oldest(one), *map(_number, counts), _forecast(one))


def _oldest(one: Standing) -> str:
    if one.oldest_wait_seconds is None:
        return "?"
    return str(timedelta(seconds=round(one.oldest_wait_seconds))) if one.oldest_wait_seconds else "-"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{round(value, 1):g}"


def _forecast(one: Standing) -> str:
    if one.pause is not None:
        return f"paused by {one.pause.actor}: {one.pause.reason}"
    if one.forecast == "growing" and one.growth_per_minute is not None:
        return f"growing {one.growth_per_minute:.0f}/min"
    if one.forecast == "drains" and one.eta_seconds is not None:
        return f"empty in {timedelta(seconds=round(one.eta_seconds))}"
    return {"no_worker": "no live worker", "drains": "holds its length"}.get(one.forecast, one.forecast)

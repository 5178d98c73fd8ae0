"""`manage.py jobs_policy charge_order`: a job's policy, with the table of its attempts and waits."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs import registry, sheets
from jobs.errors import UnknownJob
from jobs.policy.backoff import described
from jobs.policy.spans import in_words
from jobs.registry import Job
from jobs.sheets import Sheet, Table

_MISUSE = 2


class Command(BaseCommand):
    """Asks neither the database nor Redis: what it prints is what the code says."""

    help = "Print a job's policy: its options, and what follows each failure. Without a name: all jobs, a line each."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", nargs="?", help="the name of a job; the function's will do where it is the only one")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON, times in seconds")

    def handle(self, **options: Any) -> None:
        jobs = [_job(options["job"])] if options["job"] else [registry.get(name) for name in registry.names()]
        if options["as_json"]:
            told = [sheets.as_dict(job) for job in jobs]
            self.stdout.write(json.dumps(told[0] if options["job"] else told, default=str))
        elif options["job"]:
            self.stdout.writelines(f"{line}\n" for line in _sheet(sheets.sheet(jobs[0])))
        else:
            self.stdout.writelines(f"{line}\n" for line in _list(jobs))


def _job(name: str) -> Job[..., Any]:
    try:
        return registry.get(name)
    except UnknownJob as error:
        raise CommandError(str(error), returncode=_MISUSE) from error


def _sheet(sheet: Sheet) -> Iterable[str]:
    yield sheet.name
    yield from _facts(sheet.facts, indent=2)
    for table in sheet.tables:
        yield ""
        yield from _table(table)


def _facts(facts: Sequence[tuple[str, str]], *, indent: int) -> Iterable[str]:
    width = max((len(label) for label, _ in facts), default=0)
    return (f"{' ' * indent}{label:<{width}}  {text}" for label, text in facts)


def _table(table: Table) -> Iterable[str]:
    if table.brief:
        yield f"When {table.title}: {table.brief}"
        return
    yield f"When {table.title}:"
    yield from _facts(table.facts, indent=2)
    width = max(len("next attempt after"), *(len(row.wait) for row in table.rows))
    yield f"  failure  {'next attempt after':<{width}}  after it was due"
    for row in table.rows:
        yield f"  {row.number:>7}  {row.wait:<{width}}  {row.at}".rstrip()


def _list(jobs: Iterable[Job[..., Any]]) -> Iterable[str]:
    lines = [("job", "queue", "attempts", "within", "back-off"), *map(_line, jobs)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ("  ".join(f"{word:<{width}}" for word, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _line(job: Job[..., Any]) -> tuple[str, ...]:
    retry = job.options.retry
    written, _ = described(retry.backoff)
    rules = f", and {len(retry.rules)} rule{'' if len(retry.rules) == 1 else 's'}" if retry.rules else ""
    return job.name, job.options.queue, str(retry.attempts), in_words(sheets.longest(job)), f"{written}{rules}"

"""`manage.py jobs_prune`: deletes ended runs that are older than `JOBS["KEEP_DAYS"]` says, in chunks; without
`--state` and `--older-than` also all else that the nightly clean-up removes."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from jobs import audit, conf, retention
from jobs.management.options import read
from jobs.management.reaching import needs_database
from jobs.policy.ages import parse_age
from jobs.worker import nightly


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        states = sorted(conf.keep_days())
        parser.add_argument("--state", action="append", choices=states, help="Only this state; may be repeated")
        parser.add_argument(
            "--older-than", type=read(parse_age), help="Instead of the settings' days, such as 12h or 30d"
        )
        parser.add_argument("--dry-run", action="store_true", help="Say what would be deleted, and delete nothing")
        parser.add_argument("--json", action="store_true", help="Print one JSON object")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        chosen = {"states": options["state"], "older_than": options["older_than"]}
        is_all = not any(chosen.values())
        if options["dry_run"]:
            beside = nightly.prunable_beside() if is_all else []
            counts = retention.prunable(**chosen)
            self.stdout.write(json.dumps({**counts, "beside": beside}) if options["json"] else _meant(counts, beside))
            return
        counts = retention.prune(**chosen, actor="command") | (nightly.prune_beside() if is_all else {})
        if any(counts.values()):
            audit.record(actor="command", action="prune", count=sum(counts.values()), after=counts)
        self.stdout.write(json.dumps(counts) if options["json"] else _in_words(counts, verb="deleted"))


def _meant(counts: dict[str, int], beside: list[str]) -> str:
    if beside and not any(counts.values()):
        return f"Some of these would be deleted: {', '.join(beside)}."
    words = _in_words(counts, verb="would be deleted")
    return f"{words} Some of these too: {', '.join(beside)}." if beside else words


def _in_words(counts: dict[str, int], *, verb: str) -> str:
    parts = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    return f"{parts} {verb}." if parts else f"Nothing {verb}: nothing is that old."

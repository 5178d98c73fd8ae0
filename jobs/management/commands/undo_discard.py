"""`manage.py undo_discard`: have discarded dead jobs back."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router, transaction
from django.db.models import Count, QuerySet

from jobs import conf, discards, registry
from jobs.management.acting import actor
from jobs.management.options import positive, read
from jobs.management.reaching import needs_database
from jobs.management.resolving import LEFT_ALONE, MISUSE
from jobs.models import DeadJob
from jobs.policy.ages import parse_age
from jobs.policy.tally import Tally


class Command(BaseCommand):
    help = 'Make runs dead again that were discarded within JOBS["UNDO_DAYS"]. None runs by that: see requeue_dead.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--job", help="only runs of this job; the function's bare name will do")
        parser.add_argument("--queue", help="only those of this queue")
        parser.add_argument("--bulk", type=positive, metavar="ID", help="only what this bulk action discarded")
        parser.add_argument("--within", type=read(parse_age), metavar="AGE", help="only those discarded since: 2h, 1d")
        parser.add_argument("--limit", type=positive, help='at the most so many (default: JOBS["BULK_LIMIT"])')
        parser.add_argument("--reason", default="", help="why; kept in the audit")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the summary as JSON")
        parser.add_argument("--no-input", action="store_false", dest="interactive", help="do not ask")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        asked = {
            "name": registry.full_name(options["job"]) if options["job"] else None,
            "queue": options["queue"],
            "bulk": options["bulk"],
            "within": options["within"],
        }
        chosen = discards.undoable(**asked)
        matched = chosen.count()
        if not options["as_json"]:
            self._show(chosen)
        if matched and options["interactive"] and not options["dry_run"] and not self._agreed(options):
            self.stdout.write("Nothing was changed.")
            sys.exit(LEFT_ALONE)
        told = {key: str(value) for key, value in asked.items() if value is not None}
        tally = self._undo(chosen, told, options)
        self._tell(tally, matched=matched, options=options)
        if tally.left or matched > tally.done:
            sys.exit(LEFT_ALONE)

    def _show(self, chosen: QuerySet[DeadJob]) -> None:
        groups = chosen.order_by().values("name", "queue", "resolved_by").annotate(count=Count("pk"))
        for group in groups.order_by("-count", "name"):
            self.stdout.write("{count:>8,}  {name}  {queue}  discarded by {resolved_by}".format(**group))

    def _agreed(self, options: dict[str, Any]) -> bool:
        if options["as_json"] or not sys.stdin.isatty():
            raise CommandError("There is nobody to ask; add --no-input, or --dry-run to look first.", returncode=MISUSE)
        return input("Make them dead again? [y/N] ").strip().lower() in ("y", "yes")

    def _undo(self, chosen: QuerySet[DeadJob], told: dict[str, str], options: dict[str, Any]) -> Tally:
        limit = options["limit"] or conf.get().BULK_LIMIT
        with transaction.atomic(using=router.db_for_write(DeadJob)) if options["dry_run"] else nullcontext():
            words: dict[str, Any] = {"actor": actor("undo_discard"), "reason": options["reason"], "filter": told}
            tally = discards.undo_all(chosen, limit=limit, **words)
            if options["dry_run"]:
                transaction.set_rollback(True, using=router.db_for_write(DeadJob))
        return tally

    def _tell(self, tally: Tally, *, matched: int, options: dict[str, Any]) -> None:
        if options["as_json"]:
            facts = {"dry_run": options["dry_run"], "matched": matched, "done": tally.done}
            facts["left_alone"] = dict(tally.left)
            self.stdout.write(json.dumps(facts))
            return
        would = "would be" if options["dry_run"] else "are"
        self.stdout.write(f"{tally.done:,} of {matched:,} {would} dead again.")
        for why, count in tally.left.most_common():
            self.stdout.write(f"{count:,} left alone: {why}.")

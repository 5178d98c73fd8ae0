"""`manage.py jobs_fuses`: lists the fuses, adds one to a job, lifts one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import fuses
from jobs.errors import BadFuse, BrokerUnavailable, JobsError, NotAddable, UnknownJob
from jobs.management.acting import actor, reason_given, takes_reason
from jobs.management.options import read
from jobs.management.reaching import needs_database
from jobs.models import Fuse
from jobs.policy import fusing
from jobs.policy.ages import parse_age

_REFUSED, _MISUSE = 1, 2


class Command(BaseCommand):
    """Does one of three verbs. Exit status: 0 done, 1 refused, 2 asked wrongly, or no database to ask."""

    help = (
        "List the fuses, add one that holds, slows or discards the runs of one job, or lift one: "
        "what it holds then starts again, in its order."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="list | add | lift")
        listing = verbs.add_parser("list", help="list the fuses; this is what happens without a verb, too")
        listing.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per line")
        adding = verbs.add_parser("add", help="keep the runs of a job from starting")
        adding.add_argument("job", help="the job; its function's bare name will do")
        adding.add_argument("--action", choices=fusing.ACTIONS, default=fusing.HOLD, help="what to do with them (hold)")
        adding.add_argument("--rate", default="", help="with slow: how many start, such as 5/s or 30/m")
        adding.add_argument(
            "--where",
            action="append",
            default=[],
            type=read(fusing.parse_condition),
            metavar="NAME=VALUE",
            help="only runs with this argument; the value is JSON, and a text where it is none; may be repeated",
        )
        adding.add_argument(
            "--for", dest="length", type=read(parse_age), default=timedelta(hours=1), help="30m, 2d … (1h)"
        )
        adding.add_argument("--reason", default="", help="why; kept with the fuse and in the audit")
        adding.add_argument("--dry-run", action="store_true", help="say how many it would catch, and add none")
        lifting = verbs.add_parser("lift", help="end a fuse")
        lifting.add_argument("fuse", type=int, help="its number, as listed")
        takes_reason(lifting)

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        verb = {"add": self._add, "lift": self._lift}.get(options["verb"], self._list)
        try:
            verb(options)
        except JobsError as error:
            misuse = isinstance(error, (BadFuse, UnknownJob)) and not isinstance(error, NotAddable)
            raise CommandError(str(error), returncode=_MISUSE if misuse else _REFUSED) from error

    def _list(self, options: dict[str, Any]) -> None:
        there = list(fuses.active().order_by("pk"))
        counts = _caught(there)
        for fuse in there:
            caught = None if counts is None else sum(counts[fuse.pk].values())
            line = json.dumps(_facts(fuse, caught)) if options.get("as_json") else _in_words(fuse, caught)
            self.stdout.write(line)
        if not there and not options.get("as_json"):
            self.stdout.write("There is no fuse.")

    def _add(self, options: dict[str, Any]) -> None:
        where = dict(options["where"])
        seen = fuses.preview(options["job"], where)
        queues = ", ".join(f"{count:,} in {queue}" for queue, count in sorted(seen.by_queue.items()))
        more = "more than " if seen.capped else ""
        noun = "waiting run matches" if seen.count == 1 else "waiting runs match"
        self.stdout.write(f"{more}{seen.count:,} {noun}{f': {queues}' if queues else ''}.")
        if options["dry_run"]:
            return
        why = reason_given(options, kept="with the fuse")
        fuse = fuses.add(
            options["job"],
            action=options["action"],
            where=where,
            rate=options["rate"],
            seconds=options["length"].total_seconds(),
            reason=why,
            actor=actor("jobs_fuses"),
        )
        self.stdout.write(f"Added: {_in_words(fuse, None)}")

    def _lift(self, options: dict[str, Any]) -> None:
        fuse = Fuse.objects.filter(pk=options["fuse"]).first()
        if fuse is None:
            raise CommandError(f"There is no fuse {options['fuse']}. See jobs_fuses list.", returncode=_MISUSE)
        fuses.lift(fuse, actor=actor("jobs_fuses"), reason=options["reason"])
        self.stdout.write(f"Lifted: what fuse {fuse.pk} held starts again, in its order.")


def _caught(there: Sequence[Fuse]) -> dict[int, dict[str, int]] | None:
    try:
        return fuses.caught(there)
    except BrokerUnavailable:
        return None


def _in_words(fuse: Fuse, caught: int | None) -> str:
    where = "".join(f" {name}={json.dumps(value)}" for name, value in fuse.where.items())
    rate = f" to {fuse.rate}" if fuse.rate else ""
    count = "" if caught is None else f", {caught:,} caught"
    until = f"until {fuse.expires_at:%Y-%m-%d %H:%M:%S %Z}"
    return f"{fuse.pk}  {fuse.action}{rate}  {fuse.name}{where}  {until}{count}  by {fuse.actor}: {fuse.reason}"


def _facts(fuse: Fuse, caught: int | None) -> dict[str, Any]:
    return {
        "fuse": fuse.pk,
        "job": fuse.name,
        "action": fuse.action,
        "rate": fuse.rate,
        "where": fuse.where,
        "reason": fuse.reason,
        "actor": fuse.actor,
        "created_at": fuse.created_at.isoformat(),
        "expires_at": fuse.expires_at.isoformat(),
        "caught": caught,
    }

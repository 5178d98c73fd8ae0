"""`manage.py jobs_circuits`: lists the circuits, opens one, closes one."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from jobs import circuits
from jobs.circuits import Status
from jobs.errors import JobsError, did_you_mean
from jobs.management.acting import actor
from jobs.management.options import read
from jobs.management.reaching import needs_database
from jobs.policy.ages import parse_age

_REFUSED, _MISUSE = 2, 2


class Command(BaseCommand):
    """Exit status: 0 done, 2 asked wrongly, or no Redis or database to ask."""

    help = "List the circuits; open one, so that nothing calls that partner, or close one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="list | open | close")
        listing = verbs.add_parser("list", help="list the circuits; this is what happens without a verb, too")
        listing.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per line")
        for verb, what in (("open", "let no call through, and no probe"), ("close", "let calls through")):
            acting = verbs.add_parser(verb, help=what)
            acting.add_argument("circuit", help="its name, as listed")
            acting.add_argument("--for", dest="length", type=read(parse_age), help="hold it so for 30m, 2h …")
            acting.add_argument("--reason", required=True, help="why; shown with the circuit and kept in the audit")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        try:
            if options["verb"] in ("open", "close"):
                self._act(**options)
            else:
                self._list(as_json=options.get("as_json", False))
        except JobsError as error:
            raise CommandError(str(error), returncode=_REFUSED) from error

    def _list(self, *, as_json: bool) -> None:
        there = circuits.statuses()
        for one in there:
            self.stdout.write(json.dumps(_facts(one), default=str) if as_json else _in_words(one))
        if not there and not as_json:
            self.stdout.write("No circuit has been used.")

    def _act(self, *, verb: str, circuit: str, length: timedelta | None, reason: str, **rest: Any) -> None:
        known = circuits.names()
        if circuit not in known:
            problem = f'There is no circuit "{circuit}".{did_you_mean(circuit, known)}'
            raise CommandError(f"{problem} List them with jobs_circuits.", returncode=_MISUSE)
        if not reason.strip():
            raise CommandError('Say why with --reason "…".', returncode=_MISUSE)
        until = timezone.now() + length if length is not None else None
        act = circuits.force_open if verb == "open" else circuits.force_close
        act(circuit, actor=actor("jobs_circuits"), reason=reason, until=until)
        self.stdout.write(_in_words(circuits.status(circuit)))


def _facts(one: Status) -> dict[str, Any]:
    facts = asdict(one)
    del facts["rules"]
    return facts | {"failures_to_open": one.rules.failures, "within": one.rules.within, "open_for": one.rules.open_for}


def _in_words(one: Status) -> str:
    words = [f"{one.name}: {one.phase}"]
    if one.since is not None:
        words.append(f"since {_time(one.since)}")
    if one.probed_at is not None:
        words.append(f"to be tried at {_time(one.probed_at)}")
    if one.phase == "closed":
        words.append(f"{one.failures} of {one.rules.failures} failures in {one.rules.within:g} s")
    if one.held_by:
        until = f"until {_time(one.held_until)}" if one.held_until else "until it is closed by hand"
        words.append(f"held by {one.held_by} {until}: {one.reason}")
    return ", ".join(words)


def _time(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"

"""`manage.py jobs_alerts`: lists open incidents, acknowledges and silences, and looks at the rules once."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from jobs import alerts
from jobs.alerts import wording
from jobs.errors import JobsError
from jobs.management.acting import actor, takes_reason
from jobs.management.options import read
from jobs.management.reaching import needs_database
from jobs.models import Incident
from jobs.policy.ages import parse_age
from jobs.policy.alert_rules import key_of

_FOUND, _MISUSE = 1, 2
# How long one look may take to tell what it found.
_PATIENCE_SECONDS = 60.0


class Command(BaseCommand):
    """Does one of four verbs. Exit status: 0 done, 1 refused, or with --check an incident; 2 asked wrongly."""

    help = (
        "List the open incidents of alerts; acknowledge one, silence one or a rule, "
        "or look at all rules once, where no worker does."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="exit with 1 where one is open, or nobody looks")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per line")
        verbs = parser.add_subparsers(dest="verb", metavar="list | ack | silence | look")
        verbs.add_parser("list", help="list the open incidents; this is what happens without a verb, too")
        seeing = verbs.add_parser("ack", help="say that somebody sees to an incident: no reminder comes any more")
        seeing.add_argument("incident", type=int, help="its number, as listed")
        takes_reason(seeing)
        silencing = verbs.add_parser("silence", help="tell nobody of an incident or a rule for a time")
        silencing.add_argument("what", help="an incident's number, or a rule: waiting, or waiting:critical")
        silencing.add_argument(
            "--for", dest="length", type=read(parse_age), default=timedelta(hours=1), help="30m, 2h, 1d … (1h)"
        )
        takes_reason(silencing)
        verbs.add_parser("look", help="look at all rules if it is time, and tell what is to be told")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        verb = {"ack": self._acknowledge, "silence": self._silence, "look": self._look}.get(options["verb"])
        try:
            (verb or self._list)(options)
        except JobsError as error:
            raise CommandError(str(error), returncode=_FOUND) from error

    def _list(self, options: dict[str, Any]) -> None:
        there, checks = alerts.open_incidents(), alerts.checks()
        for incident in there:
            self.stdout.write(json.dumps(wording.facts(incident)) if options["as_json"] else _in_words(incident))
        if not options["as_json"]:
            self.stdout.write(_summary(there, checks))
        if options["check"] and (there or checks.is_silent):
            raise CommandError("Somebody should look.", returncode=_FOUND)

    def _acknowledge(self, options: dict[str, Any]) -> None:
        incident = _find(options["incident"])
        alerts.acknowledge(incident, actor=actor("jobs_alerts"), reason=options["reason"])
        self.stdout.write(f"Acknowledged: no reminder of incident {incident.pk} comes any more.")

    def _silence(self, options: dict[str, Any]) -> None:
        who = {"actor": actor("jobs_alerts"), "reason": options["reason"]}
        what, until = options["what"], timezone.now() + options["length"]
        if what.isdecimal():
            alerts.silence(_find(int(what)), until=until, **who)
        else:
            alerts.silence_rule(*_rule(what), until=until, **who)
        self.stdout.write(f"Silenced: nobody is told of {what} until {until:%Y-%m-%d %H:%M:%S %Z}.")

    def _look(self, options: dict[str, Any]) -> None:
        watch = alerts.Watch(actor("jobs_alerts"))
        watch.turn()
        end = time.monotonic() + _PATIENCE_SECONDS
        while not watch.is_idle and time.monotonic() < end:
            watch.turn(1.0)
        if watch.is_failing:
            raise CommandError("The rules could not be looked at: see the log.", returncode=_FOUND)
        self._list(options)


def _find(number: int) -> Incident:
    incident = Incident.objects.filter(pk=number if number < 2**63 else 0).first()
    if incident is None:
        raise CommandError(f"There is no incident {number}. See jobs_alerts list.", returncode=_MISUSE)
    return incident


def _rule(text: str) -> tuple[str, str]:
    try:
        return key_of(text)
    except ValueError as error:
        raise CommandError(f"{str(error)[0].upper()}{str(error)[1:]}.", returncode=_MISUSE) from error


def _in_words(incident: Incident) -> str:
    words = [f"{incident.pk or '-'}  {incident.severity}  {wording.headline(incident)}"]
    words.append(f"since {incident.opened_at:%Y-%m-%d %H:%M:%S %Z}")
    if incident.acknowledged_at:
        words.append(f"acknowledged by {incident.acknowledged_by}")
    if incident.silenced_until and incident.silenced_until > timezone.now():
        words.append(f"silenced until {incident.silenced_until:%Y-%m-%d %H:%M %Z}")
    return "  ".join([*words, *filter(None, [incident.detail])])


def _summary(there: list[Incident], checks: alerts.Checks) -> str:
    if checks.last is None:
        return "The rules have never been looked at: start an rqworker, or run jobs_alerts look."
    ago = wording.duration((timezone.now() - checks.last).total_seconds())
    problems = "".join(f"\nNot looked at: {name}: {why}" for name, why in checks.problems.items())
    return f"{'' if there else 'No incident. '}Last check {ago} ago, by {checks.by}.{problems}"

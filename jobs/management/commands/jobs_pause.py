"""`manage.py jobs_pause external_apis --until 2h --reason "the partner is down"`: lets nothing of a queue start."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs import queues
from jobs.errors import JobsError, UnknownQueue
from jobs.management.acting import actor, reason_given
from jobs.management.options import read
from jobs.management.reaching import needs_database
from jobs.policy.ages import parse_age

_REFUSED, _MISUSE = 1, 2


def _until(text: str) -> timedelta | datetime:
    """`2h` from now, or `2026-05-03T08:00` in the time zone of the settings. Raises ValueError."""
    moment = parse_datetime(text)
    if moment is None:
        return parse_age(text)
    return moment if moment.tzinfo else timezone.make_aware(moment)


class Command(BaseCommand):
    """Pauses a queue. Exit status: 0 done, 1 refused, 2 asked wrongly, or no database to ask."""

    help = (
        "Let nothing of a queue start until jobs_resume, or until its time is over. What runs goes on to its end; "
        "other queues go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queue", help="the queue, as RQ_QUEUES has it")
        parser.add_argument("--reason", default="", help="why; kept with the pause and in the audit")
        parser.add_argument(
            "--until",
            type=read(_until),
            metavar="2h|2026-05-03T08:00",
            help="when it ends by itself: a length from now, or a time; without it, when somebody resumes the queue",
        )

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        reason = reason_given(options, kept="with the pause and in the audit")
        until = options["until"]
        if isinstance(until, timedelta):
            until = timezone.now() + until
        try:
            row = queues.pause(options["queue"], until=until, reason=reason, actor=actor("jobs_pause"))
        except JobsError as error:
            status = _MISUSE if isinstance(error, UnknownQueue) else _REFUSED
            raise CommandError(str(error), returncode=status) from error
        end = f" until {timezone.localtime(row.until):%Y-%m-%d %H:%M:%S %Z}" if row.until else ""
        self.stdout.write(f"{row.queue} is paused{end}. Resume it with jobs_resume {row.queue}.")

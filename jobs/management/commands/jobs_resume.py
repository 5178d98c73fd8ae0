"""`manage.py jobs_resume external_apis`: lets a paused queue go on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import queues
from jobs.errors import JobsError
from jobs.management.acting import actor, takes_reason
from jobs.management.reaching import needs_database

_REFUSED = 1


class Command(BaseCommand):
    """Resumes a queue. Exit status: 0 done, 1 it is not paused, 2 no database to ask."""

    help = "Let a paused queue go on: what waits starts in its order, within a second where a worker is free."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queue", help="the queue")
        takes_reason(parser)

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        try:
            queues.resume(options["queue"], actor=actor("jobs_resume"), reason=options["reason"])
        except JobsError as error:
            raise CommandError(str(error), returncode=_REFUSED) from error
        self.stdout.write(f"{options['queue']} goes on.")

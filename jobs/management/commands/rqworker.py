"""`manage.py rqworker critical default low`: works on queues, strictly in that order."""

from __future__ import annotations

import math
import os
import secrets
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django_rq.management.commands.rqworker import Command as DjangoRQCommand

from jobs import conf
from jobs.errors import did_you_mean
from jobs.worker.options import WorkerOptions
from jobs.worker.reloading import run_with_reloading
from jobs.worker.supervisor import Supervisor


class Command(DjangoRQCommand):
    """Runs jobs from the queues, the first named first. Delayed jobs and retries need no further flag."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--processes", type=int, default=1, help="Processes that run jobs (default 1)")
        parser.add_argument("--concurrency", type=int, default=10, help="Threads in each process (default 10)")
        parser.add_argument(
            "--shutdown-timeout",
            type=float,
            default=25.0,
            help="Seconds that running jobs get after SIGTERM before they are handed back (default 25)",
        )
        parser.add_argument("--reload", action="store_true", help="Start anew when the code changes (development)")

    def handle(self, *queues: str, **options: Any) -> None:
        if options["reload"]:
            sys.exit(run_with_reloading([word for word in sys.argv if word != "--reload"]))
        if options["pid"]:
            Path(options["pid"]).expanduser().write_text(str(os.getpid()))
        chosen = self._options(queues, options)
        if options["verbosity"] > 0:
            self.stderr.write(f"{chosen.name} works on {', '.join(chosen.queues)}. Stop it with Ctrl-C or SIGTERM.")
        Supervisor(chosen).run()

    def _options(self, queues: tuple[str, ...], options: dict[str, Any]) -> WorkerOptions:
        known = conf.queue_names()
        for queue in queues:
            if queue not in known:
                raise CommandError(f'There is no queue "{queue}".{did_you_mean(queue, known)} RQ_QUEUES has {known}.')
        _check_numbers(options)
        return WorkerOptions(
            name=options["name"] or f"{conf.host()}.{os.getpid()}-{secrets.token_hex(2)}",
            queues=queues or ("default",),
            processes=options["processes"],
            concurrency=options["concurrency"],
            burst=options["burst"],
            max_jobs=options["max_jobs"],
            max_idle_time=options["max_idle_time"],
            shutdown_timeout=options["shutdown_timeout"],
        )


def _check_numbers(options: dict[str, Any]) -> None:
    if options["processes"] < 1 or options["concurrency"] < 1:
        raise CommandError("--processes and --concurrency must be 1 or more.")
    if options["max_jobs"] is not None and options["max_jobs"] < 1:
        raise CommandError("--max-jobs must be 1 or more; leave it out for no limit.")
    if options["max_idle_time"] is not None and options["max_idle_time"] < 0:
        raise CommandError("--max-idle-time must be 0 seconds or more; leave it out to wait for ever.")
    # Written so that "nan", which is neither more nor less than anything, is refused too.
    if not 0 <= options["shutdown_timeout"] < math.inf:
        raise CommandError("--shutdown-timeout must be a number of seconds, 0 or more.")

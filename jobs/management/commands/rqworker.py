"""`manage.py rqworker critical default low`: works on queues, strictly in that order.

`critical=6 default=3 low=1` takes turns by weight instead, so that none of them waits for ever.
"""

from __future__ import annotations

import contextlib
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
from jobs.broker import stock
from jobs.errors import BrokerUnavailable, did_you_mean
from jobs.worker import memory
from jobs.worker.options import WorkerOptions
from jobs.worker.reloading import run_with_reloading
from jobs.worker.supervisor import Supervisor

_MEGABYTE = 1024 * 1024
_WEIGHT_DIGITS = 6


class Command(DjangoRQCommand):
    """Runs jobs from the queues, the first named first. Delayed jobs and retries need no further flag."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--processes", type=int, default=1, help="Processes that run jobs (default 1)")
        parser.add_argument("--concurrency", type=int, default=10, help="Threads in each process (default 10)")
        parser.add_argument("--max-memory", type=int, help="Replace a process between jobs when it passes so many MB")
        parser.add_argument("--max-jobs-per-child", type=int, help="Replace each process after so many jobs")
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
        chosen = self._options(queues, options)
        if options["pid"]:
            Path(options["pid"]).expanduser().write_text(str(os.getpid()))
        if options["verbosity"] > 0:
            shown = ", ".join(queues or chosen.queues)
            self.stderr.write(f"{chosen.name} works on {shown}. Stop it with Ctrl-C or SIGTERM.")
        self._tell_of_stock_workers()
        Supervisor(chosen).run()

    def _tell_of_stock_workers(self) -> None:
        # A server that does not answer is the worker's to wait for.
        with contextlib.suppress(BrokerUnavailable):
            if found := stock.found(conf.queue_names()):
                said = f"Stock RQ works on our queues: {', '.join(found)}. Stop them, for they lose jobs."
                self.stderr.write(self.style.WARNING(said))

    def _options(self, words: tuple[str, ...], options: dict[str, Any]) -> WorkerOptions:
        queues, weights = _read_queues(words, conf.queue_names())
        _check_numbers(options)
        return WorkerOptions(
            name=options["name"] or f"{conf.host()}.{os.getpid()}-{secrets.token_hex(2)}",
            queues=queues or ("default",),
            weights=weights,
            processes=options["processes"],
            concurrency=options["concurrency"],
            burst=options["burst"],
            max_jobs=options["max_jobs"],
            max_jobs_per_child=options["max_jobs_per_child"],
            max_memory=options["max_memory"] and options["max_memory"] * _MEGABYTE,
            max_idle_time=options["max_idle_time"],
            shutdown_timeout=options["shutdown_timeout"],
        )


def _read_queues(words: tuple[str, ...], known: list[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The queues and their weights, which are empty where none has one. Raises `CommandError`."""
    # A queue may have "=" in its name.
    pairs = [(word, "", "") if word in known else word.partition("=") for word in words]
    queues = tuple(queue for queue, _, _ in pairs)
    for queue in queues:
        if queue not in known:
            raise CommandError(f'There is no queue "{queue}".{did_you_mean(queue, known)} RQ_QUEUES has {known}.')
    if not any(equals for _, equals, _ in pairs):
        return queues, ()
    if not all(equals for _, equals, _ in pairs) or len(set(queues)) < len(queues):
        raise CommandError(
            f"{' '.join(words)}: give every queue a weight, each once, as in critical=6 default=3 low=1; "
            "or none, and they are worked on strictly in order."
        )
    return queues, tuple(_weight(weight, word) for (_, _, weight), word in zip(pairs, words, strict=True))


def _weight(text: str, word: str) -> int:
    if not text.isdecimal() or not 1 <= len(text) <= _WEIGHT_DIGITS or int(text) < 1:
        raise CommandError(f"{word}: a weight is a whole number from 1, as in critical=6 default=3 low=1.")
    return int(text)


def _check_numbers(options: dict[str, Any]) -> None:
    if options["processes"] < 1 or options["concurrency"] < 1:
        raise CommandError("--processes and --concurrency must be 1 or more.")
    for option in ("max_jobs", "max_jobs_per_child", "max_memory"):
        if options[option] is not None and options[option] < 1:
            raise CommandError(f"--{option.replace('_', '-')} must be 1 or more; leave it out for no limit.")
    takes = memory.resident_bytes() / _MEGABYTE
    if options["max_memory"] is not None and options["max_memory"] <= takes:
        raise CommandError(f"--max-memory must be above the {takes:.0f} MB that a process takes before its first job.")
    if options["max_jobs"] and (options["max_jobs_per_child"] or options["max_memory"]):
        raise CommandError(
            "--max-jobs ends the worker, --max-jobs-per-child and --max-memory replace its processes: leave one out."
        )
    if options["max_idle_time"] is not None and options["max_idle_time"] < 0:
        raise CommandError("--max-idle-time must be 0 seconds or more; leave it out to wait for ever.")
    # Written so that "nan", which is neither more nor less than anything, is refused too.
    if not 0 <= options["shutdown_timeout"] < math.inf:
        raise CommandError("--shutdown-timeout must be a number of seconds, 0 or more.")

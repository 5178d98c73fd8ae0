"""Jobs are enqueued in transactions that commit, roll back, or whose process dies right after the commit.

1. A client writes a row of its own and enqueues a job, in one transaction, by every call that there is. Of ten
   transactions three roll back, and after one the process dies between the commit and what follows it; another client
   goes on behind it.
2. The workers run what was pushed, and the relay pushes the rest.
3. A job must exist, and have run, if and only if the client's row was committed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bench.faults.failpoint_sweep import last_key
from bench.faults.judge import NO_KEY
from bench.faults.sides import QUEUES
from bench.faults.trial import Result, Settings, Trial, trial
from bench.ledger import note
from jobs import failpoints

WORKERS = 2
OTHER = "other"
ALIASES = ("default", OTHER)
_ROLLED_BACK, _KILLED = 0.3, 0.1
_CLIENT_SECONDS = 120.0


class RolledBack(Exception):
    """What a client raises to roll back."""


def fate_of(seed: int, key: int) -> str:
    """What becomes of a transaction: "commit", "roll back" or "die"."""
    roll = random.Random(f"transactions/{seed}/{key}").random()
    return "roll back" if roll < _ROLLED_BACK else "die" if roll < _ROLLED_BACK + _KILLED else "commit"


def run(settings: Settings) -> Result:
    """Let it happen; `jobs` are transactions. Half of them are of another database alias."""
    environment = {"BENCH_OTHER_DATABASE": "1"}
    with trial(settings, workers=WORKERS, limit_seconds=240 + settings.jobs, environment=environment) as one:
        copy_tables_to_other()
        fates = [fate_of(settings.seed, key) for key in range(settings.jobs)]
        one.fleet.keep_running()
        key = 0
        while key < settings.jobs and not one.is_late:
            client = one.fleet.fork(lambda key=key: Client(one).enqueue(range(key, settings.jobs)))  # type: ignore[misc]
            one.wait(lambda client=client: one.fleet.has_ended(client), seconds=_CLIENT_SECONDS)  # type: ignore[misc]
            key = max(key, last_key(one.folder / "ledger" / f"{client}.ledger") + 1)
        committed = {key for key, fate in enumerate(fates) if fate != "roll back"}
        one.until_over(len(committed))
        there, wished = keys_of_runs(one), keys_of_wishes(one)
        effects = set(one.ours.books().effects or ())
        phantom, missing = (there | effects) - wished, wished - (there & effects)
        broken = [f"{len(phantom)} jobs without a committed row"] if phantom else []
        broken += [f"{len(missing)} rows without a job that ran"] if missing else []
        broken += ["the clients committed other rows than planned"] if wished != committed else []
        return one.result(
            planned=fates.count("die"),
            jobs=settings.jobs,
            may=("lost",) if not missing else (),
            broken=broken,
            figures={"committed": len(wished), "phantom": len(phantom), "missing": len(missing)},
            lines=[f"{len(wished)} of {settings.jobs} committed: phantom {len(phantom)}, missing {len(missing)}"],
        )


class Client:
    """Who enqueues, in a process of its own."""

    def __init__(self, trial: Trial) -> None:
        self._seed = trial.settings.seed
        self._ms = trial.job_ms
        self._dies = False
        self._calls: list[Callable[[int, int], Any]] = calls()
        failpoints.arm("before_push", self._die_if_fated)

    def enqueue(self, keys: range) -> None:
        for key in keys:
            fate = fate_of(self._seed, key)
            self._dies = fate == "die"
            note("attempted", key)
            try:
                run_id = self._in_transaction(key, rolls_back=fate == "roll back")
            except RolledBack:
                continue
            note("acked", key, run_id)

    def _in_transaction(self, key: int, *, rolls_back: bool) -> str:
        from django.db import transaction

        from bench.models import Wish

        # Each call is made in transactions of each database.
        using = ALIASES[key // len(self._calls) % len(ALIASES)]
        with transaction.atomic(using=using):
            Wish(key=key).save(using=using, force_insert=True)
            run = self._calls[key % len(self._calls)](key, self._ms(key))
            if rolls_back:
                raise RolledBack
        return str(run.id)

    def _die_if_fated(self) -> None:
        if self._dies:
            note("fault", NO_KEY, ["before_push", [os.getpid()]])
            os.kill(os.getpid(), signal.SIGKILL)


def copy_tables_to_other() -> None:
    """Let the other database begin as the first one does."""
    from django.conf import settings

    shutil.copy(settings.DATABASES["default"]["NAME"], settings.DATABASES[OTHER]["NAME"])


def calls() -> list[Callable[[int, int], Any]]:
    """Every way to enqueue a job of a key and a length."""
    from django.db import transaction
    from django.utils import timezone

    from bench.jobs import work

    def in_savepoint(key: int, ms: int) -> Any:
        """A savepoint that is rolled back takes its job with it, and only its own."""
        try:
            with transaction.atomic():
                work.enqueue(key, ms)
                raise RolledBack
        except RolledBack:
            return work.enqueue(key, ms)

    return [
        work.enqueue,
        lambda key, ms: work.enqueue_in(0.5, key, ms),
        lambda key, ms: work.enqueue_at(timezone.now() + timedelta(seconds=0.5), key, ms),
        lambda key, ms: work.enqueue_many([(key, ms)])[0],
        lambda key, ms: work.using(queue=QUEUES[0]).enqueue(key, ms),
        lambda key, ms: work.using(at=0.5).enqueue_many([{"key": key, "ms": ms}])[0],
        in_savepoint,
    ]


def keys_of_runs(trial: Trial) -> set[int]:
    """The keys of all runs that have a row."""
    from jobs.models import JobRun

    payloads = JobRun.objects.values_list("arguments", flat=True)
    return {int(arguments["key"]) for arguments in payloads}


def keys_of_wishes(trial: Trial) -> set[int]:
    """The keys whose row was committed, in either database."""
    from bench.models import Wish

    return {
        key for using in ("default", OTHER) for key in Wish._default_manager.using(using).values_list("key", flat=True)
    }

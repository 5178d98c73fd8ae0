"""Runs what is queued, in this thread, as a worker would: claim, attempt, judge, settle, record."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jobs import conf, consequences, reconciling, recorder
from jobs.broker import claim as claims
from jobs.broker import inspect, keys
from jobs.broker.claim import Claim
from jobs.broker.connection import client, errors_named
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle, settle_and_claim
from jobs.errors import UnknownQueue, did_you_mean
from jobs.policy import bounds
from jobs.policy.outcome import Interrupted, NotKnown, Outcome, Postponed
from jobs.relay import relay
from jobs.testing.attempts import Attempts, attempt_of
from jobs.testing.guarding import MAX_RUNS, check_room, raise_if_not_of_jobs
from jobs.testing.servers import check_is_a_test_server
from jobs.worker import deadlines, lifecycle
from jobs.worker.child import fresh_id

# A time limit strikes late by this much at the most.
_LOOK_SECONDS = 0.02


def drain(
    *, queues: Sequence[str] | None = None, due: bool = False, max_runs: int = MAX_RUNS, any_server: bool = False
) -> Attempts:
    """Run what is queued until nothing is ready, and return the attempts in their order.

        order = place_order(...)
        assert drain().counts == {"done": 5}

    It pushes rows that their transaction has not pushed, so it also works in a test that is wrapped in one. The rows
    are current after each attempt. `queues` are taken in the order given, all of `RQ_QUEUES` when left out.
    `due=True` also runs what is scheduled or waits for a retry, without waiting: a job that keeps failing is dead
    afterwards.

    What a job raises is kept in the attempts and not raised. Raises `UnknownQueue`, `BrokerUnavailable`,
    `TooManyRuns` after `max_runs`, and `NotATestServer` unless `any_server` says that real runs cannot be there.
    """
    if not any_server:
        check_is_a_test_server()
    draining = _Draining(_known(queues), due=due, max_runs=max_runs)
    with _limits_enforced():
        draining.run()
    return draining.attempts


class _Draining:
    """1. `_claim` pushes rows, moves what is due, and takes one run.
    2. `_attempt` runs it and settles what became of it.
    3. `_record` brings the rows up to date.

    It ends when there is nothing to claim and nothing to record.
    """

    def __init__(self, queues: list[str], *, due: bool, max_runs: int) -> None:
        self.attempts = Attempts()
        self._worker = fresh_id("drain")
        self._queues = queues
        self._due = due
        self._max_runs = max_runs
        # What these wait for does not come while we drain: asking again and again would never end.
        self._put_off: set[str] = set()

    def run(self) -> None:
        if reconciling.is_needed():
            reconciling.reconcile(self._worker.id)
        recorder.catch_up()
        try:
            while (claim := self._claim()) or recorder.record() or consequences.follow():
                if claim is not None:
                    self._attempt(claim)
                    recorder.record_all()
        finally:
            claims.forget_worker(self._worker.id)

    def _claim(self) -> Claim | None:
        while relay(min_age=None):
            pass
        if self._due:
            _bring_forward(self._queues, but=self._put_off)
        tick([self._worker.id], self._queues)
        if inspect.anything_queued(self._queues):
            check_room(self.attempts, max_runs=self._max_runs)
        _, claimed = settle_and_claim(self._worker, [], [secrets.token_hex(8)], self._queues, limited=False)
        return claimed[0] if claimed else None

    def _attempt(self, claim: Claim) -> None:
        started = time.monotonic()
        outcome = lifecycle.outcome_of(claim, worker=self._worker.name)
        run_ms = round((time.monotonic() - started) * 1000)
        try:
            raise_if_not_of_jobs(outcome)
        except BaseException:
            self._settle(claim, Interrupted(), run_ms=run_ms)
            raise
        attempt = attempt_of(self._settle(claim, outcome, run_ms=run_ms), outcome)
        self.attempts.add(attempt)
        if isinstance(outcome, NotKnown | Postponed):
            self._put_off.add(claim.run_id)

    def _settle(self, claim: Claim, outcome: Outcome, *, run_ms: int) -> Settlement:
        settlement = lifecycle.conclude(claim, outcome, worker=self._worker.name, run_ms=run_ms)
        settle(self._worker, [settlement])
        return settlement


def _known(queues: Sequence[str] | None) -> list[str]:
    known = conf.queue_names()
    for name in queues or ():
        if name not in known:
            raise UnknownQueue(f'There is no queue "{name}".{did_you_mean(name, known)} Name some of {known}.')
    return known if queues is None else list(queues)


def _bring_forward(queues: Sequence[str], *, but: set[str]) -> None:
    """Make everything that is scheduled due now, in the order in which it would have come."""
    for queue in queues:
        with errors_named():
            times = dict(client().zrange(keys.scheduled(queue), 0, -1, withscores=True))
            now, _ = client().time()
        ahead = {run_id: at for run_id, at in times.items() if run_id.decode() not in but}
        shift = max(ahead.values(), default=now) - now
        if shift > 0:
            with errors_named():
                client().zadd(keys.scheduled(queue), {run_id: at - shift for run_id, at in ahead.items()}, xx=True)
            for run_id, at in ahead.items():
                _let_time_pass(run_id.decode(), now_ms=now * 1000, waits_ms=int(1000 * (at - now)))


def _let_time_pass(run_id: str, *, now_ms: int, waits_ms: int) -> None:
    """What a run is bound by goes by how long it has waited, and it is as if it had."""
    key = keys.job(run_id)
    with errors_named():
        if waits_ms <= 0 or client().type(key) != b"hash":
            return
        told = client().hget(key, "bounds") or b""
        fields: dict[str, int | str] = {"ready_ms": now_ms}
        if told:
            fields["bounds"] = bounds.read(told.decode(errors="replace")).after(waits_ms).dump()
        client().hset(key, mapping=fields)


@contextmanager
def _limits_enforced() -> Iterator[None]:
    """Strike attempts that pass their time limit, as a worker's loop does."""
    over = threading.Event()

    def strike() -> None:
        while not over.wait(_LOOK_SECONDS):
            deadlines.strike_late()

    thread = threading.Thread(target=strike, name="drain-limits", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()

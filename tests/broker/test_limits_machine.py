"""Whatever comes in whatever order: never one too many, none lost, and each can start in the end."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from jobs import at_once, job, per_window, registry
from jobs.broker import claim as claims
from jobs.broker import epoch, keys
from jobs.broker import places as broker_places
from jobs.broker.claim import Claim, WorkerId
from jobs.broker.connection import client
from jobs.broker.places import Sought
from jobs.broker.push import push, withdraw
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle, settle_and_claim
from jobs.drafts import limits_of
from tests.broker.messages import message
from tests.engine import places

QUEUES = ("default", "low")
ALL_QUEUES = [*QUEUES, *map(keys.suspects, QUEUES)]
WINDOW_SECONDS = 0.03
SHARED, OWN, STARTS = 2, 1, 2
OPTIONS = {
    "machine.both": [at_once(SHARED, name="machine"), at_once(OWN, key="customer")],
    "machine.window": [at_once(SHARED, name="machine"), per_window(STARTS, seconds=WINDOW_SECONDS)],
    "machine.none": [],
}
JOBS = list(OPTIONS)
WHERE = ["end", "gone", "failed", "later", "front", "unbegun", "suspect"]
KEYS_THAT_MAY_GO = ["jobs:timers", "jobs:turns", "jobs:laned", *map(keys.bell, ALL_QUEUES)]


class Limits(RuleBasedStateMachine):
    """Some workers, some customers, and a server that is real."""

    def __init__(self) -> None:
        super().__init__()
        client().flushall()
        epoch.begin("tests")
        epoch.accept("tests")
        self.jobs = {name: job(name=name, limits=limits)(_a_job) for name, limits in OPTIONS.items()}
        self.live: dict[str, tuple[str, int]] = {}
        self.queues: dict[str, str] = {}
        self.held: dict[str, list[Claim]] = {}
        self.starts: list[int] = []
        self.fresh_worker(0)
        self.fresh_worker(1)

    def fresh_worker(self, number: int) -> None:
        while len(getattr(self, "workers", [])) < 2:
            self.workers = [*getattr(self, "workers", []), WorkerId("", "")]
        self.workers[number] = WorkerId(f"w{number}", f"w{number}/{secrets.token_hex(4)}")
        self.held[self.workers[number].id] = []

    @rule(
        name=st.sampled_from(JOBS), customer=st.integers(1, 3), queue=st.sampled_from(QUEUES), count=st.integers(1, 4)
    )
    def enqueue(self, name, customer, queue, count):
        limits = limits_of(self.jobs[name], {"customer": customer})
        messages = [message(name=name, queue=queue, limits=limits) for _ in range(count)]
        assert push(messages, at=datetime.now(UTC)) == count
        self.live.update({one.run_id: (name, customer) for one in messages})
        self.queues.update({one.run_id: queue for one in messages})

    @rule(number=st.integers(0, 1), count=st.integers(1, 6), order=st.permutations(ALL_QUEUES), most=st.integers(1, 4))
    def claim(self, number, count, order, most):
        worker = self.workers[number]
        _, claimed = settle_and_claim(worker, [], [secrets.token_hex(6) for _ in range(count)], order[:most])
        self.held[worker.id] += claimed
        self.starts += [one.claimed_ms for one in claimed if one.name == "machine.window"]

    @rule(number=st.integers(0, 1), nth=st.integers(0, 5), where=st.sampled_from(WHERE))
    def settle(self, number, nth, where):
        worker = self.workers[number]
        if nth < len(self.held[worker.id]):
            self._end(worker, self.held[worker.id].pop(nth), where)

    @rule(number=st.integers(0, 1), crashed=st.booleans())
    def kill(self, number, crashed):
        worker = self.workers[number]
        claims.end_lease(worker.id)
        held = claims.held_by(worker.id)
        assert {one.token for one in held} == {one.token for one in self.held.pop(worker.id)}
        queues = [keys.suspects(one.queue) if crashed else None for one in held]
        back = [Settlement(one, "front", queue=queue) for one, queue in zip(held, queues, strict=True)]
        assert all(settle(worker, back, only_ended=True))
        claims.forget_worker(worker.id)
        self.fresh_worker(number)

    @rule(nth=st.integers(0, 20))
    def withdraw(self, nth):
        waiting = [run_id for run_id in self.live if run_id not in self._held_ids()]
        if waiting:
            run_id = waiting[nth % len(waiting)]
            assert withdraw(run_id, queue=self.queues[run_id], life=0) == "withdrawn"
            del self.live[run_id]

    @rule(nth=st.integers(0, 20))
    def remove(self, nth):
        """Its row has ended: it goes from wherever it is."""
        if self.live:
            run_id = list(self.live)[nth % len(self.live)]
            assert broker_places.remove([Sought(run_id, self.queues[run_id], 0)]) == 1
            for held in self.held.values():
                held[:] = [one for one in held if one.run_id != run_id]
            del self.live[run_id]

    @rule()
    def tick(self):
        tick([worker.id for worker in self.workers], ALL_QUEUES)

    @rule(key=st.sampled_from(KEYS_THAT_MAY_GO))
    def lose(self, key):
        client().delete(key)

    @rule()
    def lose_waiters(self):
        for key in client().keys("jobs:waiters:*"):
            client().delete(key)

    @invariant()
    def never_one_too_many(self):
        held = [self.live[one.run_id] for some in self.held.values() for one in some if one.run_id in self.live]
        assert sum(name in ("machine.both", "machine.window") for name, _ in held) <= SHARED
        by_customer = Counter(customer for name, customer in held if name == "machine.both")
        assert all(count <= OWN for count in by_customer.values())
        starts = sorted(self.starts)
        # Whole milliseconds of what is counted in microseconds.
        for first, beyond in zip(starts, starts[STARTS:], strict=False):
            assert beyond - first >= WINDOW_SECONDS * 1000 - 1

    @invariant()
    def slots_are_held(self):
        tokens = {one.token for some in self.held.values() for one in some}
        slots = {token.decode() for key in client().keys("jobs:slots:*") for token in client().hkeys(key)}
        assert slots <= tokens

    def teardown(self):
        for run_id in list(self.live):
            assert len(places(run_id)) == 1, (run_id, self.live[run_id], places(run_id))
        for worker in self.workers:
            for one in self.held[worker.id]:
                self._end(worker, one, "front")
            self.held[worker.id] = []
        deadline = time.monotonic() + 20
        while self.live:
            assert time.monotonic() < deadline, {run_id: places(run_id) for run_id in self.live}
            self._hurry()
            self.claim(0, 10, ALL_QUEUES, 4)
            self.never_one_too_many()
            for one in self.held[self.workers[0].id]:
                self._end(self.workers[0], one, "end")
            self.held[self.workers[0].id] = []
        assert client().keys("jobs:slots:*") == []
        for name in JOBS:
            registry._jobs.pop(name, None)
        registry.limit_numbers.cache_clear()

    def _hurry(self) -> None:
        """What is due later, or would be looked at in a second, is due now."""
        for key in [b"jobs:timers", *client().keys("rq:scheduled:*")]:
            for member in client().zrange(key, 0, -1):
                client().zadd(key, {member: 0})
        self.tick()

    def _end(self, worker: WorkerId, one: Claim, where: str) -> None:
        queue = keys.suspects(one.queue) if where == "suspect" else None
        ended = Settlement(one, "front" if where == "suspect" else where, wait_seconds=-1, queue=queue)
        assert settle(worker, [ended]) == [True]
        if where in ("end", "gone", "failed"):
            del self.live[one.run_id]
        if where == "unbegun" and one.name == "machine.window":
            self.starts.remove(one.claimed_ms)

    def _held_ids(self) -> set[str]:
        return {one.run_id for some in self.held.values() for one in some}


def _a_job(customer: int) -> None:
    raise AssertionError("it is not run here")


def run_machine(examples: int, steps: int) -> None:
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        # To make a failure smaller takes minutes, for each step asks a server.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Limits, settings=how)


def test_limits_hold_whatever_happens():
    run_machine(12, 25)


@pytest.mark.slow
def test_limits_hold_whatever_happens_for_long():
    run_machine(80, 50)

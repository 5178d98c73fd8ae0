"""Whatever comes in whatever order: each run is in one place, and none is lost."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jobs.broker import epoch, keys
from jobs.broker import fuses as copies
from jobs.broker.claim import Claim
from jobs.broker.connection import client
from jobs.broker.parcels import data_of
from jobs.broker.push import withdraw
from jobs.broker.settle import Settlement, settle
from jobs.policy.fusing import Condition
from jobs.testing.servers import empty_valkey
from tests.engine import WORKER, claim

FOR_EVER = int(9e15)
JOBS = st.sampled_from(["shop.charge", "shop.pack"])
QUEUES = st.sampled_from(["default", "low"])


def everywhere() -> list[tuple[str, str]]:
    """Each run with its place, as often as it is in one."""
    lists = [keys.queue(name) for name in ("default", "low")]
    lists += [key.decode() for key in client().keys("jobs:lane:*")]
    found = [(one.decode(), key) for key in lists for one in client().lrange(key, 0, -1)]
    wips = [f"rq:wip:{name}" for name in ("default", "low")]
    return found + [(one.decode().partition(":")[0], key) for key in wips for one in client().zrange(key, 0, -1)]


class Fused(RuleBasedStateMachine):
    """Two jobs in two queues, and the fuses that come and go on them."""

    @initialize()
    def begin(self) -> None:
        empty_valkey()
        epoch.begin("tests")
        epoch.accept("tests")
        self.numbers = itertools.count(1)
        self.pending: set[str] = set()
        self.held: dict[str, Claim] = {}
        self.fuses: dict[int, tuple[str, str]] = {}
        self.over: set[int] = set()

    @rule(job=JOBS, queue=QUEUES, count=st.integers(1, 8))
    def push(self, job: str, queue: str, count: int) -> None:
        for number in itertools.islice(self.numbers, count):
            run_id = f"run-{number:05}"
            facts = {"data": data_of(job, json.dumps([[number], {}])), "life": 0, "attempts": 0, "status": "queued"}
            client().hset(keys.job(run_id), mapping={**facts, "origin": queue})
            client().rpush(keys.queue(queue), run_id)
            self.pending.add(run_id)

    @rule(
        job=JOBS,
        action=st.sampled_from(["hold", "slow", "discard"]),
        second=st.booleans(),
        rate=st.sampled_from([0.1, 5, 10_000]),
    )
    def add(self, job: str, action: str, second: bool, rate: float) -> None:
        where = [Condition("number", 2, 0, fits_default=False)] if second else []
        fuse = len(self.fuses) + 1
        per_second = rate if action == "slow" else 0
        copies.publish({fuse: copies.entry(job, where, action=action, per_second=per_second, expires_ms=FOR_EVER)})
        self.fuses[fuse] = (job, action)

    @rule(data=st.data())
    def lift(self, data: Any) -> None:
        if there := sorted(self.fuses.keys() - self.over):
            fuse = data.draw(st.sampled_from(there))
            copies.publish({fuse: data.draw(st.sampled_from([copies.OVER, copies.OVER_DISCARDING]))})
            self.over.add(fuse)

    @rule(count=st.integers(1, 12))
    def take(self, count: int) -> None:
        for one in claim(count, queues=["default", "low"]):
            assert one.run_id in self.pending
            assert one.run_id not in self.held
            if one.fuse:
                job, action = self.fuses[one.fuse]
                assert one.name == job
                assert action == "discard" or one.fuse in self.over
            self.held[one.run_id] = one

    @rule(data=st.data(), hands_back=st.booleans())
    def end(self, data: Any, hands_back: bool) -> None:
        if self.held:
            run_id = data.draw(st.sampled_from(sorted(self.held)))
            one = self.held.pop(run_id)
            fields = {"attempts": one.attempt - 1}
            where = "front" if hands_back else "end"
            assert settle(WORKER, [Settlement(one, where, fields=fields if hands_back else {})]) == [True]
            if not hands_back:
                self.pending.discard(run_id)

    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        if waiting := sorted(self.pending - self.held.keys()):
            run_id = data.draw(st.sampled_from(waiting))
            queue = str(client().hget(keys.job(run_id), "origin").decode())
            assert withdraw(run_id, queue=queue, life=0) == "withdrawn"
            self.pending.discard(run_id)

    @invariant()
    def each_run_is_in_one_place(self) -> None:
        found = everywhere()
        assert sorted(run_id for run_id, _ in found if run_id in self.pending) == sorted(self.pending)
        assert {run_id for run_id, place in found if place.startswith("rq:wip:")} == self.held.keys()

    def teardown(self) -> None:
        """All fuses end, and everything comes out."""
        for fuse in self.fuses:
            copies.publish({fuse: copies.OVER})
        for one in self.held.values():
            settle(WORKER, [Settlement(one, "end")])
        left = self.pending - self.held.keys()
        while some := claim(50, queues=["default", "low"]):
            assert {one.run_id for one in some} <= left
            assert not any(one.fuse for one in some)
            left -= {one.run_id for one in some}
        assert left == set()
        assert client().keys("jobs:lane:*") == []
        assert int(client().hget(keys.LANED, "default") or 0) == 0


TestFused = Fused.TestCase
TestFused.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

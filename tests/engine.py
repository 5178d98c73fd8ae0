"""The engine without its processes: what workers do, step by step, in the test's own thread."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import conf, job, recorder, registry
from jobs.broker import keys
from jobs.broker.claim import Claim, WorkerId
from jobs.broker.connection import client
from jobs.broker.settle import Settlement, settle, settle_and_claim
from jobs.models import JobRun
from jobs.models.runs import ENDED_STATES
from jobs.registry import Job
from jobs.worker import lifecycle

WORKER = WorkerId("tester", "tester/1-cafe")
OTHER = WorkerId("other", "other/2-beef")


def claim(count: int = 1, *, worker: WorkerId = WORKER, queues: list[str] | None = None) -> list[Claim]:
    """Claim up to `count` runs."""
    tokens = [secrets.token_hex(8) for _ in range(count)]
    return settle_and_claim(worker, [], tokens, queues or conf.queue_names())[1]


def attempt_next() -> Settlement:
    """Claim one run, run it and settle it; the journal is left to be recorded."""
    settlement = lifecycle.attempt(claim()[0], worker=WORKER.name)
    assert settle(WORKER, [settlement]) == [True]
    return settlement


def work_off() -> list[Settlement]:
    """Run everything that is queued, one after the other, and record it."""
    ended = []
    while claimed := claim():
        ended.append(lifecycle.attempt(claimed[0], worker=WORKER.name))
        settle(WORKER, [ended[-1]])
    recorder.record_all()
    return ended


def hash_of(run_id: object) -> dict[str, str]:
    """A run's hash in Redis."""
    return {key.decode(): value.decode() for key, value in client().hgetall(keys.job(str(run_id))).items()}


def places(run_id: object) -> list[str]:
    """Every place that holds the run, each as often as it does."""
    wanted = str(run_id)
    return [
        place.partition(":")[2].replace("queue:", "queued:").replace("wip:", "started:")
        for queue in [name for queue in conf.queue_names() for name in (queue, keys.suspects(queue))]
        for place in (keys.queue(queue), f"rq:wip:{queue}", keys.scheduled(queue), keys.failed(queue))
        for one in _members(place)
        if one.partition(":")[0] == wanted
    ] + [
        f"lane:{lane}"
        for queue in [name for queue in conf.queue_names() for name in (queue, keys.suspects(queue))]
        for lane in _members(keys.lanes(queue))
        for one in _members(keys.lane(lane))
        if one == wanted
    ]


def _members(key: str) -> list[str]:
    kind = client().type(key)
    found = client().lrange(key, 0, -1) if kind == b"list" else client().zrange(key, 0, -1) if kind == b"zset" else []
    return [one.decode(errors="replace") for one in found]


def a_run(state: str, *, ended: timedelta = timedelta(0), **facts: Any) -> JobRun:
    """A run's row, asked for and ended so long ago, without anything in Redis."""
    now = timezone.now()
    run_id = uuid.uuid4()
    given: dict[str, Any] = {
        "rq_id": str(run_id),
        "name": "tests.sample.add",
        "queue": "default",
        "payload": [[1, 2], {}],
        "arguments": {},
        "max_attempts": 3,
        "created_at": now - ended,
        "ended_at": now - ended if state in ENDED_STATES else None,
    }
    return JobRun.objects.create(id=run_id, state=state, **{**given, **facts})


@pytest.fixture
def make_job() -> Iterator[Callable[..., Job[..., Any]]]:
    """Register a function as a job for the length of one test: `make_job(function, retry=1)`."""
    made: list[str] = []

    def make(function: Callable[..., Any], name: str | None = None, **options: Any) -> Job[..., Any]:
        made.append(name or f"tests.made_{len(made)}")
        return job(name=made[-1], **options)(function)

    yield make
    for name in made:
        registry._jobs.pop(name, None)
    registry.limit_numbers.cache_clear()

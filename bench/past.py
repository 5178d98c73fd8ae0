"""A past to look back on: a million runs and what belongs to them, written straight into the tables, in a fixed order.

What is written is what the recorder would have left. Only what waits is given to Valkey, by the relay, as a worker
would find it.
"""

from __future__ import annotations

import random
import secrets
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db import connection, models, transaction
from django.utils import timezone

from bench.inserting import Row, insert
from jobs import metrics, registry
from jobs.models import (
    AuditEntry,
    Batch,
    BulkAction,
    DeadJob,
    Effect,
    FailureCause,
    Fuse,
    Incident,
    IncidentNotice,
    JobAttempt,
    JobRun,
    MetricMinute,
    QueueSample,
    RunState,
    Schedule,
    ScheduleTick,
    SentEmail,
    WorkerProcess,
    WorkerRelease,
    Workflow,
    WorkflowStep,
)
from jobs.models.metrics import RUNS, WAITS
from jobs.models.runs import ENDED_STATES
from jobs.policy import ids

QUEUES = ("critical", "default", "mailers", "external_apis", "low")
DAYS = 14
# Of a hundred runs; what is left has succeeded. The waiting ones are the newest.
_PARTS = ((RunState.DEAD, 1.0), (RunState.DISCARDED, 0.5), (RunState.CANCELLED, 0.5), (RunState.RETRYING, 0.3))
_SCHEDULED_SHARE = 0.01
_RUNNING = 40
_CAUSES = 300
_BATCHES, _LARGEST_BATCH_SHARE = 400, 0.1
_WORKFLOWS, _STEPS = 300, 12
_SCHEDULES, _TICKS = 40, 400
_AUDIT = 100_000
_MARKERS = 50_000
_WORKERS, _INCIDENTS = 60, 300


class Past:
    """`runs` runs over two weeks, of which `queued` wait in Valkey."""

    def __init__(self, runs: int, queued: int) -> None:
        self.runs, self.queued = runs, queued
        self.now = timezone.now()
        self.dice = random.Random(6)
        self.jobs = registry.names()
        self.begin = self.now - timedelta(days=DAYS)
        self.first_waiting = runs - queued - int(runs * _SCHEDULED_SHARE) - _RUNNING
        self.dead: list[int] = []

    def write(self) -> None:
        """All of it, into empty tables."""
        with transaction.atomic():
            for model, template, rows in self._tables():
                insert(model, template, rows)
        metrics.rebuild()
        with connection.cursor() as cursor:
            # What a server does by itself some minutes after so many rows.
            cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")

    def _tables(self) -> Iterator[tuple[type[models.Model], Row, Iterable[Row]]]:
        now = self.now
        yield FailureCause, {"frames": ["orders.payments charge"], "message": "# from the gateway"}, self._causes()
        yield Workflow, {"name": "order", "state": "running", "created_at": now, "moved_at": now}, self._workflows()
        yield Batch, {"state": "succeeded", "created_at": now, "sealed_at": now}, self._batches()
        yield WorkflowStep, {"call": {"job": self.jobs[0]}, "size": 1}, self._steps()
        yield JobRun, self._template_of_runs(), self._runs()
        yield JobAttempt, {"outcome": "raised", "worker": "host-1/4711", "run_ms": 812}, self._attempts()
        yield DeadJob, {"reason": "exhausted", "error_class": "orders.errors.GatewayDown"}, self._burials()
        yield Schedule, {"expression": "*/5 * * * *", "timezone": "UTC", "created_by": "code"}, self._schedules()
        yield ScheduleTick, {"state": "asked", "ticked_at": now, "asked_at": now}, self._ticks()
        yield AuditEntry, {"actor": "ann", "address": "10.0.0.1", "reason": "the gateway is back"}, self._audit()
        yield Effect, {"state": "done", "claimed_at": now, "held_until": now, "done_at": now}, self._effects()
        yield SentEmail, {"state": "sent", "claimed_at": now, "held_until": now, "sent_at": now}, self._emails()
        yield BulkAction, {"verb": "requeue", "state": "finished", "total": 500, "created_at": now}, self._bulk()
        yield Fuse, {"action": "hold", "actor": "ann", "reason": "partner down", "created_at": now}, self._fuses()
        yield MetricMinute, {}, self._minutes()
        yield QueueSample, {"depth": 40, "wait_ms": 900}, self._samples()
        yield WorkerProcess, {"kind": "child", "threads": 10, "release": "r124", "rss": 64_000_000}, self._workers()
        yield WorkerRelease, {"last_seen_at": now}, self._releases()
        yield Incident, {"kind": "waiting", "severity": "warning", "limit": 100, "seen_at": now}, self._incidents()
        yield IncidentNotice, {"kind": "opened", "made_at": now, "sent_at": now}, self._notices()

    # Runs and what belongs to one.

    def at(self, number: int) -> datetime:
        """When the run of this number was asked for."""
        return self.begin + timedelta(days=DAYS) * (number / self.runs)

    def id_of(self, number: int) -> uuid.UUID:
        """Its id, the same each time it is asked for."""
        nanoseconds = int(self.at(number).timestamp() * 1000) * 1_000_000
        return ids.time_sorted(nanoseconds, number.to_bytes(8, "big"))

    def job_of(self, number: int) -> str:
        return self.jobs[number * 7 % len(self.jobs)]

    def queue_of(self, number: int) -> str:
        return QUEUES[number * 3 % len(QUEUES)]

    def _template_of_runs(self) -> Row:
        release = {"worker": "host-1/4711", "release": "r124"}
        return {"payload": [[], {}], "max_attempts": 10, "attempts": 1, "wait_ms": 40, "run_ms": 120, **release}

    def _runs(self) -> Iterator[Row]:
        for number in range(self.runs):
            state, asked = self._state_of(number), self.at(number)
            if state == RunState.DEAD:
                self.dead.append(number)
            run_id = self.id_of(number)
            row = {
                "id": run_id,
                "rq_id": str(run_id),
                "name": self.job_of(number),
                "queue": self.queue_of(number),
                "state": state,
                "arguments": {"order_id": number % 100_000},
                "created_at": asked,
                "batch_id": self._batch_of(number),
                "parent": self.id_of(number - 1) if number % 10 == 1 else None,
                "pushed_at": None if state == RunState.QUEUED else asked,
                "ended_at": asked + timedelta(seconds=2) if state in ENDED_STATES else None,
                "due_at": self.now + timedelta(minutes=number % 999 + 10) if state in _WAITS_FOR_A_TIME else None,
            }
            yield row | self._error_of(number, state)

    def _state_of(self, number: int) -> RunState:
        if number >= self.runs - self.queued:
            return RunState.QUEUED
        if number >= self.runs - self.queued - _RUNNING:
            return RunState.RUNNING
        if number >= self.first_waiting:
            return RunState.SCHEDULED
        lot = self.dice.random() * 100
        for state, share in _PARTS:
            if lot < share:
                return state
            lot -= share
        return RunState.SUCCEEDED

    def _error_of(self, number: int, state: RunState) -> Row:
        failed = state in (RunState.DEAD, RunState.RETRYING)
        message = f"503 from the gateway for order {number}" if failed else ""
        return {"error_class": "orders.errors.GatewayDown" if failed else "", "error_message": message}

    def _batch_of(self, number: int) -> int | None:
        if number < self.runs * _LARGEST_BATCH_SHARE:
            return 1
        return number % _BATCHES + 1 if number % 5 == 0 else None

    def _attempts(self) -> Iterator[Row]:
        trace = 'Traceback (most recent call last):\n  File "payments.py", line 17, in charge\n' * 10
        for number in self.dead:
            for attempt in (1, 2, 3):
                ended = self.at(number) + timedelta(seconds=attempt)
                yield {
                    "run_id": self.id_of(number),
                    "number": attempt,
                    "token": secrets.token_hex(8),
                    "started_at": self.at(number),
                    "ended_at": ended,
                    "verdict": "bury" if attempt == 3 else "retry",
                    "error_class": "orders.errors.GatewayDown",
                    "error_message": f"503 from the gateway for order {number}",
                    "traceback": trace,
                    "fingerprint": _fingerprint(number % _CAUSES),
                }

    def _burials(self) -> Iterator[Row]:
        for number in self.dead:
            yield {
                "run_id": self.id_of(number),
                "life": 0,
                "name": self.job_of(number),
                "queue": self.queue_of(number),
                "error_message": f"503 from the gateway for order {number}",
                "died_at": self.at(number) + timedelta(seconds=3),
                "cause_id": number % _CAUSES + 1,
            }

    def _causes(self) -> Iterator[Row]:
        hour = int(self.now.timestamp()) // 3600
        for number in range(_CAUSES):
            yield {
                "id": number + 1,
                "fingerprint": _fingerprint(number),
                "name": self.job_of(number),
                "error_class": "orders.errors.GatewayDown",
                "sample": f"503 from the gateway for order {number}",
                "count": 3 * self.runs // 100 // _CAUSES,
                "hours": {str(hour - ago): ago % 7 for ago in range(24 * 7)},
                "first_seen_at": self.begin,
                "last_seen_at": self.now - timedelta(minutes=number),
            }

    # What is larger than a run.

    def _batches(self) -> Iterator[Row]:
        for number in range(1, _BATCHES + 1):
            size = int(self.runs * _LARGEST_BATCH_SHARE) if number == 1 else 1
            yield self._batch(number, f"newsletter {number}", size, workflow=None)
        for step in range(_WORKFLOWS * _STEPS):
            yield self._batch(_BATCHES + step + 1, "step", 1, workflow=step // _STEPS + 1)

    def _batch(self, number: int, name: str, size: int, *, workflow: int | None) -> Row:
        counts = {"total": size, "succeeded": size, "ended_at": self.now}
        return {"id": number, "name": name, "workflow_id": workflow, **counts}

    def _workflows(self) -> Iterator[Row]:
        return ({"id": number} for number in range(1, _WORKFLOWS + 1))

    def _steps(self) -> Iterator[Row]:
        for number in range(_WORKFLOWS * _STEPS):
            workflow, place = divmod(number, _STEPS)
            after = [[f"step-{place - 1}", "success"]] if place else []
            yield {
                "workflow_id": workflow + 1,
                "name": f"step-{place}",
                "place": place,
                "state": "succeeded",
                "after": after,
                "batch_id": _BATCHES + number + 1,
                "started_at": self.now,
                "ended_at": self.now,
            }

    def _schedules(self) -> Iterator[Row]:
        for number in range(1, _SCHEDULES + 1):
            yield {
                "id": number,
                "name": f"every five {number}",
                "job": self.job_of(number),
                "created_at": self.begin,
                "next_due_at": self.now + timedelta(minutes=number),
                "last_due_at": self.now - timedelta(minutes=1),
            }

    def _ticks(self) -> Iterator[Row]:
        for number in range(_SCHEDULES * _TICKS):
            due = self.now - timedelta(minutes=5 * (number // _SCHEDULES) + 1)
            run = self.id_of(number * 11 % self.runs)
            yield {"schedule_id": number % _SCHEDULES + 1, "due_at": due, "run": run}

    # What people and jobs left behind.

    def _audit(self) -> Iterator[Row]:
        verbs = ("requeue", "discard", "cancel", "run_now", "stop")
        for number in range(_AUDIT):
            at = self.begin + timedelta(days=DAYS) * (number / _AUDIT)
            target = str(self.id_of(number * 13 % self.runs))
            yield {"at": at, "action": verbs[number % len(verbs)], "target": target}

    def _effects(self) -> Iterator[Row]:
        return ({"key": f"refund-{number}", "result": {"id": number}} for number in range(_MARKERS))

    def _emails(self) -> Iterator[Row]:
        for number in range(_MARKERS):
            yield {"kind": "confirmation", "recipient": f"{number}@example.com", "key": f"order-{number}"}

    def _bulk(self) -> Iterator[Row]:
        return ({"key": f"bulk-{number}", "actor": "ann", "done": 500, "ended_at": self.now} for number in range(500))

    def _fuses(self) -> Iterator[Row]:
        for number in range(200):
            over = self.now if number else None
            key = {"name": self.job_of(number), "where_key": str(number)}
            yield {**key, "expires_at": self.now + timedelta(hours=1), "ended_at": over, "released_at": over}

    def _minutes(self) -> Iterator[Row]:
        for number in range(DAYS * 24 * 60):
            minute = self.now.replace(second=0, microsecond=0) - timedelta(minutes=number)
            for place in range(12):
                counts = {WAITS[8]: 5, WAITS[12]: 1, RUNS[10]: 4, RUNS[14]: 2}
                yield {
                    "name": self.jobs[place % len(self.jobs)],
                    "queue": self.queue_of(place),
                    "minute": minute,
                    "started": 6,
                    "succeeded": 5,
                    "failed": number % 3,
                    "wait_ms": 300,
                    "run_ms": 900,
                    **counts,
                }

    # What was seen of queues and workers.

    def _samples(self) -> Iterator[Row]:
        minute = self.now.replace(second=0, microsecond=0)
        for ago in range(DAYS * 24 * 60):
            for queue in QUEUES:
                yield {"queue": queue, "minute": minute - timedelta(minutes=ago)}

    def _workers(self) -> Iterator[Row]:
        for number in range(_WORKERS):
            host = f"host-{number // 4}"
            yield {
                "name": f"{host}:{number}",
                "host": host,
                "queues": [*QUEUES],
                "started_at": self.now - timedelta(hours=number),
                "seen_at": self.now - timedelta(minutes=number),
            }

    def _releases(self) -> Iterator[Row]:
        for number in range(DAYS * 2):
            yield {"release": f"r{124 - number}", "first_seen_at": self.now - timedelta(hours=12 * number)}

    def _incidents(self) -> Iterator[Row]:
        for number in range(_INCIDENTS):
            opened = self.now - timedelta(hours=number)
            closed = opened + timedelta(minutes=20) if number >= 3 else None
            yield {
                "id": number + 1,
                "scope": QUEUES[number % len(QUEUES)],
                "value": 120 + number,
                "worst": 200 + number,
                "opened_at": opened,
                "closed_at": closed,
            }

    def _notices(self) -> Iterator[Row]:
        for number in range(_INCIDENTS):
            for channel in ("mail", "webhook", "log"):
                yield {"incident_id": number + 1, "channel": channel}


_WAITS_FOR_A_TIME = (RunState.SCHEDULED, RunState.RETRYING)


def _fingerprint(number: int) -> str:
    return f"{number:032x}"

"""How each queue stands and what becomes of it: what pages show, and numbers that an autoscaler reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, Sum, Value
from django.utils import timezone

from jobs import conf, workers
from jobs.broker import inspect
from jobs.broker.fleet import ProcessNow
from jobs.errors import BrokerUnavailable
from jobs.models import MetricMinute, QueuePause, QueueSample
from jobs.models.metrics import ENDED
from jobs.policy import forecast
from jobs.policy.forecast import Load

# Whole minutes over which rates are counted, and over which run times are.
_RATE_MINUTES = 5
_RUN_MINUTES = 15
# What a process has where none lives that would tell.
_THREADS_EACH = 10


@dataclass(frozen=True)
class Standing:
    """One queue now. None is what nobody knows.

    `workers` are live processes that serve it and have not been asked to be quiet, `threads` theirs in all. `forecast`
    is idle, drains, growing, no_worker, paused or unknown; `eta_seconds` is until nothing waits.
    """

    name: str
    depth: int | None = None
    oldest_wait_seconds: float | None = None
    running: int | None = None
    scheduled: int | None = None
    workers: int | None = None
    threads: int | None = None
    in_per_minute: float | None = None
    out_per_minute: float | None = None
    run_seconds: float | None = None
    forecast: str = forecast.UNKNOWN
    eta_seconds: float | None = None
    target_seconds: float = conf.DEFAULT_QUEUE_TARGET_SECONDS
    threads_needed: int | None = None
    workers_needed: int | None = None
    growth_per_minute: float | None = None
    pause: QueuePause | None = None


@dataclass(frozen=True)
class Standings:
    """All queues of `RQ_QUEUES`, in their order. `answers` says whether Redis does."""

    queues: list[Standing] = field(default_factory=list)
    answers: bool = True

    def of(self, name: str) -> Standing:
        """The standing of one queue. Raises KeyError."""
        return {one.name: one for one in self.queues}[name]


@dataclass(frozen=True)
class _Flow:
    """What the figures of the last minutes say of a queue."""

    out_per_minute: float = 0.0
    run_seconds: float | None = None


@dataclass(frozen=True)
class _Live:
    """What Redis says of all queues."""

    queues: Mapping[str, inspect.QueueNow] = field(default_factory=dict)
    waits: Mapping[str, float] = field(default_factory=dict)
    processes: Sequence[ProcessNow] = ()


def standings(pauses: Iterable[QueuePause] | None = None) -> Standings:
    """How each queue stands now. Never raises `BrokerUnavailable`: what only Redis knows is None then.

    Who has looked for the pauses gives them, and they are not asked for again.
    """
    names, now = conf.queue_names(), timezone.now()
    try:
        live: _Live | None = _live(names)
    except BrokerUnavailable:
        live = None
    pause_of = paused() if pauses is None else {one.queue: one for one in pauses}
    flows, samples = _flows(now), _samples_before(now)
    found = [
        _standing(name, live, pause_of.get(name), flows.get(name, _Flow()), samples.get(name), now) for name in names
    ]
    return Standings(found, answers=live is not None)


def paused() -> dict[str, QueuePause]:
    """The pauses that hold now, by queue."""
    rows = QueuePause.objects.filter(Q(until__isnull=True) | Q(until__gt=timezone.now()), resumed_at__isnull=True)
    return {row.queue: row for row in rows}


def as_json() -> dict[str, Any]:
    """The same as numbers and texts, for autoscalers and monitoring."""
    found = standings()
    return {"redis": found.answers, "queues": [_as_json(one) for one in found.queues]}


def _as_json(one: Standing) -> dict[str, Any]:
    numbers = ("depth", "running", "scheduled", "workers", "threads", "threads_needed", "workers_needed")
    rounded = ("oldest_wait_seconds", "in_per_minute", "out_per_minute", "run_seconds", "eta_seconds", "target_seconds")
    told: dict[str, Any] = {"queue": one.name, "forecast": one.forecast}
    told |= {name: getattr(one, name) for name in numbers}
    told |= {name: _rounded(getattr(one, name)) for name in rounded}
    return told | {"paused": one.pause is not None, "paused_by": one.pause.actor if one.pause else None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _live(names: Sequence[str]) -> _Live:
    there = {now.name: now for now in inspect.queues_now(names)}
    processes = [one for one in workers.live() if one.kind == "child"]
    return _Live(there, inspect.oldest_now(names), processes)


def _standing(
    name: str,
    live: _Live | None,
    pause: QueuePause | None,
    flow: _Flow,
    before: tuple[datetime, int] | None,
    now: datetime,
) -> Standing:
    serving = [] if live is None else [one for one in live.processes if name in one.queues and one.state != "suspended"]
    threads = sum(one.threads for one in serving)
    queue = None if live is None else live.queues[name]
    depth = None if queue is None else queue.depth
    load = Load(
        depth=depth,
        in_per_minute=_came(depth, before, flow, now),
        out_per_minute=flow.out_per_minute,
        threads=None if live is None else threads,
        run_seconds=flow.run_seconds,
        is_paused=pause is not None,
    )
    seen, target = forecast.forecast(load), conf.queue_target(name)
    each = threads / len(serving) if serving else _THREADS_EACH
    return Standing(
        name=name,
        depth=depth,
        oldest_wait_seconds=None if live is None else live.waits.get(name, 0.0),
        running=None if queue is None else queue.started,
        scheduled=None if queue is None else queue.scheduled,
        workers=None if live is None else len(serving),
        threads=load.threads,
        in_per_minute=load.in_per_minute,
        out_per_minute=load.out_per_minute,
        growth_per_minute=load.growth_per_minute,
        run_seconds=load.run_seconds,
        forecast=seen.state,
        eta_seconds=seen.eta_seconds,
        target_seconds=target,
        threads_needed=forecast.threads_needed(load, target_seconds=target),
        workers_needed=forecast.workers_needed(load, target_seconds=target, threads_each=each),
        pause=pause,
    )


def _came(depth: int | None, before: tuple[datetime, int] | None, flow: _Flow, now: datetime) -> float | None:
    """How many came in a minute: as many as left, and by how many it has grown."""
    if depth is None or before is None:
        return None
    minutes = (now - before[0]).total_seconds() / 60
    return max(0.0, flow.out_per_minute + (depth - before[1]) / minutes)


def _flows(now: datetime) -> dict[str, _Flow]:
    minute = now.replace(second=0, microsecond=0)
    lately = Q(minute__gte=minute - timedelta(minutes=_RATE_MINUTES))
    rows = MetricMinute.objects.filter(minute__gte=minute - timedelta(minutes=_RUN_MINUTES), minute__lt=minute)
    ended = sum((F(column) for column in ENDED), Value(0))
    sums = (
        rows.order_by()
        .values("queue")
        .annotate(out=Sum("started", filter=lately, default=0), ended=Sum(ended), took=Sum("run_ms"))
    )
    return {
        one["queue"]: _Flow(one["out"] / _RATE_MINUTES, one["took"] / 1000 / one["ended"] if one["ended"] else None)
        for one in sums
    }


def _samples_before(now: datetime) -> dict[str, tuple[datetime, int]]:
    """Each queue's depth of about five minutes ago: the first within six minutes."""
    since = now - timedelta(minutes=_RATE_MINUTES + 1)
    rows = QueueSample.objects.filter(minute__gte=since, minute__lte=now - timedelta(minutes=1)).order_by("-minute")
    return {queue: (minute, depth) for queue, minute, depth in rows.values_list("queue", "minute", "depth")}

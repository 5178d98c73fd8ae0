"""The processes of all workers, as they beat: who lives, what each runs, and what supervisors are asked to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobs.broker import keys, lua
from jobs.broker.connection import client, errors_named
from jobs.broker.stock import MARK
from jobs.policy.storable import LATEST_MS

# A supervisor tells of itself each second, and a process each five.
SUPERVISOR_LIFE_SECONDS = 30.0
_FRESH_MS = 20_000
# A process shows so many of its runs at the most.
_RUNS_SHOWN = 100
_DIGITS_MOST = 15
QUIET, STOP = "quiet", "stop"


@dataclass(frozen=True)
class RunNow:
    """A run that a process holds, and since when."""

    run_id: str
    job: str
    queue: str
    since: datetime | None


@dataclass(frozen=True)
class ProcessNow:
    """A process that runs jobs, by its latest beat. `is_stale`: its lease has ended."""

    name: str
    id: str
    host: str
    supervisor: str
    kind: str
    pid: int
    queues: tuple[str, ...]
    threads: int
    busy: int
    state: str
    release: str
    rss: int
    done: int
    failed: int
    started_at: datetime | None
    seen_at: datetime | None
    is_stale: bool = False
    runs: tuple[RunNow, ...] = ()


@dataclass(frozen=True)
class SupervisorNow:
    """A supervisor by its latest word. `state` is working, quiet or stopping; `asked` is what it was asked to do."""

    id: str
    name: str
    host: str
    pid: int
    release: str
    queues: tuple[str, ...]
    state: str
    seen_at: datetime | None
    asked: str = ""
    asked_at: datetime | None = None
    asked_by: str = ""

    @property
    def waits_for(self) -> str:
        """What it was asked to do and has not begun to do: quiet, stop, or nothing."""
        done = {QUIET: ("quiet", "stopping"), STOP: ("stopping",)}.get(self.asked, ())
        return self.asked if self.asked and self.state not in done else ""


@dataclass(frozen=True)
class Fleet:
    """Who lives at `at`, by the server's clock."""

    at: datetime
    processes: list[ProcessNow] = field(default_factory=list)
    supervisors: list[SupervisorNow] = field(default_factory=list)


def look(*, with_runs: bool = False) -> Fleet:
    """Who lives now; `with_runs` also what each holds. Changes nothing. Raises `BrokerUnavailable`."""
    with errors_named():
        ids, leases, supervisors, now_ms = _who()
        pipeline = client().pipeline(transaction=False)
        for name in ids:
            pipeline.hgetall(keys.worker(name))
        for supervisor in supervisors:
            pipeline.hgetall(keys.supervisor(supervisor))
        answers = [_texts(answer) for answer in pipeline.execute(raise_on_error=False)]
        records = {name: answer for name, answer in zip(ids, answers, strict=False) if MARK in answer}
        facts = {name: _facts(record) for name, record in records.items()}
        held = _held([_text_in(told, "id") for told in facts.values()]) if with_runs else {}
    processes = [_process(name, records[name], facts[name], leases, held, now_ms=now_ms) for name in records]
    told = zip(supervisors, answers[len(ids) :], strict=True)
    return Fleet(
        at=_moment(now_ms) or datetime.now(UTC),
        processes=sorted(processes, key=lambda one: (one.host, one.supervisor, one.name)),
        supervisors=[_supervisor(supervisor, answer) for supervisor, answer in told if answer],
    )


def beat_call(supervisor: str, record: Mapping[str, str | int]) -> lua.Call:
    """The script call by which a supervisor says that it lives; its answer is what it is asked to do."""
    words = [word for pair in record.items() for word in pair]
    return "oversee", [supervisor, int(SUPERVISOR_LIFE_SECONDS * 1000), *words]


def leave(supervisor: str) -> None:
    """Say that a supervisor has ended. Raises `BrokerUnavailable`."""
    with errors_named():
        client().delete(keys.supervisor(supervisor))
        client().zrem(keys.SUPERVISORS, supervisor)


def ask(order: str, supervisors: Sequence[str], *, actor: str) -> list[str]:
    """Ask supervisors to be quiet or to stop. Returns those that live. Raises `BrokerUnavailable`."""
    heard = lua.run("order", [order, actor, *supervisors]) if supervisors else []
    return [one.decode(errors="replace") for one in heard]


def _who() -> tuple[list[str], dict[str, int], list[str], int]:
    """Names of processes, their leases by id, ids of supervisors, and the time."""
    pipeline = client().pipeline(transaction=False)
    pipeline.smembers(keys.WORKERS)
    pipeline.zrange(keys.LEASES, 0, -1, withscores=True)
    pipeline.zrange(keys.SUPERVISORS, 0, -1)
    pipeline.time()
    names, leases, supervisors, (seconds, microseconds) = pipeline.execute(raise_on_error=False)
    # A key that is in use for something else tells of nobody.
    found = [] if isinstance(names, Exception) else sorted(name.decode(errors="replace") for name in names)
    return (
        [name.removeprefix(keys.worker("")) for name in found],
        {} if isinstance(leases, Exception) else {one.decode(errors="replace"): int(score) for one, score in leases},
        [] if isinstance(supervisors, Exception) else [one.decode(errors="replace") for one in supervisors],
        seconds * 1000 + microseconds // 1000,
    )


def _held(ids: Sequence[str]) -> dict[str, tuple[RunNow, ...]]:
    """What each of these holds."""
    pipeline = client().pipeline(transaction=False)
    for one in ids:
        pipeline.hvals(keys.held(one))
    answers = pipeline.execute(raise_on_error=False) if ids else []
    places = {
        one: [_place(value) for value in answer[:_RUNS_SHOWN]]
        for one, answer in zip(ids, answers, strict=True)
        if isinstance(answer, list)
    }
    runs = [run_id for found in places.values() for _, run_id in found]
    pipeline = client().pipeline(transaction=False)
    for run_id in runs:
        pipeline.hmget(keys.job(run_id), "description", "claimed_ms")
    told = dict(zip(runs, pipeline.execute(raise_on_error=False) if runs else [], strict=True))
    return {one: tuple(_run(run_id, queue, told[run_id]) for queue, run_id in found) for one, found in places.items()}


def _place(value: bytes) -> tuple[str, str]:
    queue, _, run_id = value.decode(errors="replace").partition("\n")[0].partition("\t")
    return queue, run_id


def _run(run_id: str, queue: str, told: Any) -> RunNow:
    description, claimed = (None, None) if isinstance(told, Exception) else told
    job = (description or b"").decode(errors="replace").partition("(")[0][:200]
    return RunNow(run_id, job, queue, _moment(_number(claimed)))


def _process(
    name: str,
    record: dict[str, str],
    told: dict[str, Any],
    leases: Mapping[str, int],
    held: Mapping[str, tuple[RunNow, ...]],
    *,
    now_ms: int,
) -> ProcessNow:
    own_id = _text_in(told, "id")
    seen_at = _read_moment(record.get("last_heartbeat"))
    runs = held.get(own_id, ())
    lease = leases.get(own_id)
    silent_ms = now_ms - seen_at.timestamp() * 1000 if seen_at else now_ms
    return ProcessNow(
        name=name,
        id=own_id,
        host=record.get("hostname", ""),
        supervisor=_text_in(told, "supervisor"),
        kind=_text_in(told, "kind") or "child",
        pid=_number(record.get("pid")),
        queues=tuple(queue for queue in record.get("queues", "").split(",") if queue),
        threads=_number_in(told, "threads"),
        busy=_number_in(told, "busy"),
        state=record.get("state", ""),
        release=_text_in(told, "release"),
        rss=_number_in(told, "rss"),
        done=_number(record.get("successful_job_count")),
        failed=_number(record.get("failed_job_count")),
        started_at=_read_moment(record.get("birth")),
        seen_at=seen_at,
        # One that has claimed nothing yet has none.
        is_stale=lease < now_ms if lease is not None else silent_ms > _FRESH_MS,
        runs=tuple(sorted(runs, key=lambda run: (run.since is None, run.since, run.run_id))),
    )


def _supervisor(own_id: str, record: dict[str, str]) -> SupervisorNow:
    return SupervisorNow(
        id=own_id,
        name=record.get("name", own_id),
        host=record.get("host", ""),
        pid=_number(record.get("pid")),
        release=record.get("release", ""),
        queues=tuple(queue for queue in record.get("queues", "").split(",") if queue),
        state=record.get("state", ""),
        seen_at=_moment(_number(record.get("seen_ms"))),
        asked=record.get("order", ""),
        asked_at=_moment(_number(record.get("asked_ms"))),
        asked_by=record.get("asked_by", ""),
    )


def _texts(answer: Any) -> dict[str, str]:
    if not isinstance(answer, dict):
        return {}
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in answer.items()}


def _facts(record: dict[str, str]) -> dict[str, Any]:
    try:
        told = json.loads(record.get(keys.FACTS, "{}"))
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _text_in(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    return value[:250] if isinstance(value, str) else ""


def _number_in(told: dict[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) and 0 <= value < 10**_DIGITS_MOST else 0


def _number(text: str | bytes | None) -> int:
    return int(text) if text and text.isdigit() and len(text) <= _DIGITS_MOST else 0


def _moment(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if 0 < ms <= LATEST_MS else None


def _read_moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment

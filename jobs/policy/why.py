"""Why a run is not running: decided from evidence that others gather. Asks nobody, and changes nothing.

`reasons` gives all that holds, the one that counts first. `unchecked` names what could not be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from jobs.policy.in_line import count_ahead, is_in_a_place
from jobs.policy.reasons import Evidence, Reason, Why
from jobs.policy.whereabouts import LimitNow, Whereabouts

# Who enqueued a run pushes it right after the commit; later the relay does.
PUSH_GRACE = timedelta(seconds=5)
# A supervisor moves what is due each second, or sooner.
_SUPERVISOR_SILENT = timedelta(seconds=10)
# What takes longer to be stored than this is worth a word.
_BEHIND = timedelta(seconds=10)
_PENDING = ("scheduled", "queued", "running", "retrying")
_LOCKS = ("LockPutOff", "LockHeld", "LockNotAsked")
_BY_REDIS = (
    Why.NOT_PUSHED,
    Why.NO_WORKER,
    Why.AHEAD,
    Why.PARENT,
    Why.SLOT,
    Why.RATE_LIMIT,
    Why.LOCK,
    Why.CIRCUIT,
    Why.FUSE,
    Why.NOT_COMPARED,
    Why.LOST,
)


def reasons(evidence: Evidence) -> list[Reason]:
    """Why it is not running, the one that counts first; or since when it runs, or how it ended."""
    run, place = evidence.run, evidence.place
    if run.state not in _PENDING:
        return list(_ended(evidence))
    if place is None:
        return [*_by_row(evidence), *_of(evidence, _due, _paused)]
    if place.status in ("finished", "failed", "canceled") and place.kind == "hash":
        return [Reason(Why.ENDED_UNRECORDED, {"state": place.status}, since=place.journal_since), *_behind(evidence)]
    if place.status == "started":
        return [*_running(evidence), *_behind(evidence)]
    found = list(_of(evidence, *_ASKED))
    # Nothing keeps it, as far as anybody knows.
    return [*(found or [_next(evidence)]), *_behind(evidence)]


def unchecked(evidence: Evidence) -> tuple[Why, ...]:
    """What could not be looked at, for Redis does not answer."""
    waits = evidence.run.state in _PENDING
    return _BY_REDIS if evidence.place is None and waits else ()


Check = Callable[[Evidence, Whereabouts], Iterator[Reason]]


def _of(evidence: Evidence, *checks: Check) -> Iterator[Reason]:
    # Who asks only about rows never looks at the place.
    place = evidence.place or Whereabouts(evidence.now, "none")
    for check in checks:
        yield from check(evidence, place)


def _not_pushed(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    run = evidence.run
    if place.kind == "none" and run.has_row and run.pushed_at is None:
        yield Reason(Why.NOT_PUSHED, since=run.created_at, until=max(run.created_at + PUSH_GRACE, evidence.now))


def _due(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    run = evidence.run
    # The row may be younger than the set, and the set than the row; the later one is what it waits for.
    due = place.due_at if evidence.place is not None and place.kind != "none" else run.due_at
    if due is None or due <= evidence.now:
        return
    waited = {"attempt": run.attempts, "most": run.max_attempts, "error": run.error_class, "message": run.error_message}
    yield Reason(_why_later(evidence), {**waited, **_kept_by(evidence)}, since=_since_later(evidence), until=due)


def _why_later(evidence: Evidence) -> Why:
    run = evidence.run
    error = run.error_class.rpartition(".")[2]
    if run.state == "retrying":
        return Why.RETRY_LATER
    if run.outcome == "unknown job":
        return Why.UNKNOWN_JOB
    if run.outcome == "database away":
        return Why.DATABASE_AWAY
    if run.outcome == "postponed" and error in _LOCKS:
        return Why.LOCK
    if run.outcome == "postponed" and error == "CircuitOpen":
        return Why.CIRCUIT
    return Why.PUT_OFF if run.verdict == "put off" else Why.DUE_LATER


def _kept_by(evidence: Evidence) -> dict[str, Any]:
    why = _why_later(evidence)
    keeper = {Why.LOCK: evidence.lock, Why.CIRCUIT: evidence.circuit}.get(why)
    return {"keeper": keeper} if keeper else {}


def _since_later(evidence: Evidence) -> datetime | None:
    keeper = _kept_by(evidence).get("keeper")
    if keeper is not None and keeper.since:
        return keeper.since
    return evidence.run.tried_at or evidence.run.created_at


def _paused(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    if pause := evidence.pause:
        facts = {"queue": evidence.run.queue, "keeper": pause}
        yield Reason(Why.PAUSED, facts, since=pause.since, until=pause.until)


def _standing_still(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    if not place.is_compared:
        yield Reason(Why.NOT_COMPARED, {"has_recorder": place.has_recorder})
    if place.journal >= evidence.journal_limit:
        facts = {"length": place.journal, "limit": evidence.journal_limit, "has_recorder": place.has_recorder}
        yield Reason(Why.JOURNAL_FULL, facts, since=place.journal_since)


def _no_worker(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    facts = {"queue": evidence.run.queue, "live": place.workers.live, "names": place.workers.names}
    serving = place.serving
    # A run of its suspects' queue is worked on by a process that is started for it.
    if not place.workers.live:
        yield Reason(Why.NO_WORKER, facts, since=_silent_since(evidence, place))
    elif not serving.live:
        yield Reason(Why.QUEUE_UNSERVED, facts)
    elif serving.quiet == serving.live:
        yield Reason(Why.QUIET, {**facts, "quiet": serving.quiet, "names": serving.names})


def _silent_since(evidence: Evidence, place: Whereabouts) -> datetime | None:
    ticked = place.ticked_at
    return ticked if ticked and evidence.now - ticked > _SUPERVISOR_SILENT else None


def _fused(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    if place.lane is None or place.lane.fuse is None:
        return
    fuse = evidence.fuse
    facts: dict[str, Any] = {"number": place.lane.fuse}
    yield Reason(
        Why.FUSE,
        {**facts, "keeper": fuse} if fuse else facts,
        since=fuse.since if fuse else None,
        until=fuse.until if fuse else None,
    )


def _isolated(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    is_due = place.due_at is None or place.due_at <= evidence.now
    if place.suspects.ahead is not None and is_due:
        facts = {"ahead": place.suspects.ahead, "crashes": max(1, place.crashes)}
        yield Reason(Why.ISOLATED, facts, since=evidence.run.tried_at or place.ready_at)


def _parents(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    open_ = [one for one in place.parents if one.state != "finished"]
    for parent in sorted(open_, key=lambda one: one.state not in ("failed", "canceled", "stopped", None)):
        is_dead = parent.state in ("failed", "canceled", "stopped", None)
        facts = {"run": parent.run, "state": parent.state or "gone", "count": len(open_)}
        yield Reason(Why.PARENT_DEAD if is_dead else Why.PARENT, facts)
        return


def _limited(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    for limit in place.lane.limits if place.lane else ():
        if limit.is_full:
            yield _full(limit, place)


def _full(limit: LimitNow, place: Whereabouts) -> Reason:
    facts = {
        "limit": limit.name,
        "used": limit.used,
        "most": limit.most,
        "seconds": limit.seconds,
        "holders": limit.holders,
        "ahead": place.lane.listed.ahead if place.lane else None,
    }
    if limit.seconds is None:
        starts = [one.since for one in limit.holders if one.since]
        return Reason(Why.SLOT, facts, since=min(starts) if starts else None)
    return Reason(Why.RATE_LIMIT, facts, since=place.ready_at, until=limit.free_at)


def _lost(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    run = evidence.run
    is_unpushed = run.pushed_at is None or not run.has_row
    if is_in_a_place(place) or (place.kind == "none" and is_unpushed):
        return
    yield Reason(Why.LOST, {"kind": place.kind, "status": place.status}, until=evidence.now + evidence.repair)


def _ahead(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    if count := count_ahead(place):
        yield _in_line(count, evidence, place)


def _in_line(count: int, evidence: Evidence, place: Whereabouts) -> Reason:
    rate = evidence.per_second
    eta = evidence.now + timedelta(seconds=min(count / rate, 10 * 365 * 86_400)) if rate else None
    is_more = place.lane is None and place.queue.ahead is None
    facts = {"count": count, "per_second": rate, "is_more": is_more, "queue": evidence.run.queue}
    return Reason(Why.AHEAD, facts, since=place.ready_at, until=eta)


def _next(evidence: Evidence) -> Reason:
    place = evidence.place
    serving = place.serving if place else None
    taking = serving.live - serving.quiet if serving else 0
    are_busy = bool(serving and taking and serving.busy >= taking)
    facts = {"queue": evidence.run.queue, "are_busy": are_busy}
    return Reason(Why.NEXT, facts, since=place.ready_at if place else None)


def _circuit(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    """Of a run that waits: once its turn comes, it is put off."""
    circuit = evidence.circuit
    is_told = place.due_at is not None and place.due_at > evidence.now and _why_later(evidence) is Why.CIRCUIT
    if circuit is not None and circuit.phase != "closed" and not is_told:
        yield Reason(Why.CIRCUIT, {"keeper": circuit}, since=circuit.since, until=circuit.until)


def _not_known(evidence: Evidence, place: Whereabouts) -> Iterator[Reason]:
    is_told = place.due_at is not None and place.due_at > evidence.now and _why_later(evidence) is Why.UNKNOWN_JOB
    if not evidence.is_known and not is_told:
        yield Reason(Why.UNKNOWN_JOB, {"here": True})


_ASKED: tuple[Check, ...] = (
    _not_pushed,
    _due,
    _paused,
    _standing_still,
    _no_worker,
    _fused,
    _isolated,
    _parents,
    _limited,
    _lost,
    _ahead,
    _circuit,
    _not_known,
)


def _behind(evidence: Evidence) -> Iterator[Reason]:
    place = evidence.place
    since = place.journal_since if place else None
    if place is not None and since is not None and place.at - since > _BEHIND:
        yield Reason(Why.RECORDER_BEHIND, {"length": place.journal, "has_recorder": place.has_recorder}, since=since)


def _running(evidence: Evidence) -> Iterator[Reason]:
    run, place = evidence.run, evidence.place
    assert place is not None
    facts = {"worker": place.worker or run.worker, "attempt": place.attempts or run.attempts, "most": run.max_attempts}
    since = place.claimed_at or run.started_at
    if not place.is_held:
        yield Reason(Why.LOST, {"kind": place.kind, "status": place.status}, until=evidence.now + evidence.repair)
    is_silent = place.is_held and (place.lease_until is None or place.lease_until <= place.at)
    if is_silent:
        yield Reason(Why.LEASE_ENDED, facts, since=place.lease_until)
    if place.is_stopping:
        yield Reason(Why.STOPPING, facts, since=since)
    if place.is_held and not is_silent:
        yield Reason(Why.RUNNING, facts, since=since)


def _by_row(evidence: Evidence) -> Iterator[Reason]:
    run = evidence.run
    if run.state == "running":
        facts = {"worker": run.worker, "attempt": run.attempts, "most": run.max_attempts}
        yield Reason(Why.RUNNING, facts, since=run.started_at)
    yield Reason(Why.REDIS_AWAY)


def _ended(evidence: Evidence) -> Iterator[Reason]:
    run = evidence.run
    facts = {"state": run.state, "attempt": run.attempts, "most": run.max_attempts, "error": run.error_class}
    yield Reason(Why.DEAD if run.state == "dead" else Why.ENDED, facts, since=run.ended_at)
    if evidence.equal:
        yield Reason(Why.UNIQUE, {"run": evidence.equal})

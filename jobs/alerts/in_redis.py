"""What rules look at in Redis. Nothing of it is known while that does not answer: all raise `BrokerUnavailable`."""

from __future__ import annotations

from datetime import datetime

from jobs import circuits, queues, registry
from jobs.broker import inspect
from jobs.errors import BrokerUnavailable
from jobs.policy.alerting import Reading
from jobs.queues import Standing

ByScope = dict[str, Reading]
Found = dict[str, ByScope]


def queues_now(now: datetime) -> Found:
    """How many wait in each queue and for how long, and which queues nobody works on."""
    standings = queues.standings()
    if not standings.answers:
        raise BrokerUnavailable("Redis does not say how its queues stand.")
    used = _used()
    return {
        "waiting": {one.name: Reading(one.depth or 0) for one in standings.queues},
        # Whoever paused a queue knows that its runs wait.
        "wait": {one.name: Reading(one.oldest_wait_seconds or 0.0) for one in standings.queues if one.pause is None},
        "no_worker": {
            one.name: Reading(1, _waits(one))
            for one in standings.queues
            if one.workers == 0 and one.pause is None and (one.name in used or one.depth)
        },
    }


def _used() -> set[str]:
    """The queues that may get work: those that a job names."""
    return {registry.get(name).options.queue for name in registry.names()}


def _waits(one: Standing) -> str:
    if not one.depth:
        return "nothing waits in it yet"
    return f"{one.depth:,} {'waits' if one.depth == 1 else 'wait'} in it"


def recorder(now: datetime) -> Found:
    """For how long the oldest of what happened has waited to be stored."""
    journal = inspect.journal_now()
    return {"recorder": {"": Reading(journal.lag_seconds, f"{journal.length:,} entries wait")}}


def server(now: datetime) -> Found:
    """How full the server is, and what it does when it is."""
    told = inspect.server()
    limit, used = int(told.get("maxmemory") or 0), int(told.get("used_memory") or 0)
    policy = str(told.get("maxmemory_policy", "noeviction"))
    full = Reading(100 * used / limit, f"{used / 1e6:,.0f} of {limit / 1e6:,.0f} MB") if limit else None
    return {
        "memory": {"": full} if full else {},
        "eviction": {"": Reading(1, f"its maxmemory-policy is {policy}")} if policy != "noeviction" else {},
    }


def circuits_open(now: datetime) -> Found:
    """For how long circuits have been open, or tried again and again."""
    return {
        "circuit": {
            one.name: Reading((now - one.since).total_seconds(), _held(one), one.since)
            for one in circuits.statuses()
            if one.phase != "closed" and one.since is not None
        }
    }


def _held(one: circuits.Status) -> str:
    return f"held by {one.held_by}: {one.reason}"[:400] if one.held_by else ""

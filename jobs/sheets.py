"""A job's whole policy in words: its options, and what follows each failure. For people; decides nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from jobs import conf
from jobs.models.dead import DeathReason
from jobs.policy.backoff import described
from jobs.policy.plan import Plan, Step, plan_of_crashes, plans
from jobs.policy.retry import Bury, Discard, RetryPolicy
from jobs.policy.spans import in_words
from jobs.registry import Job

# The ones that a policy tells of in words of its own.
_TOLD_APART = ("queue", "retry", "timeout", "iterates", "expires", "expired", "traceback_lines")
# Nobody reads more, and they are alike by then.
_SHOWN_STEPS = 60
_CALLBACKS = {"on_death": "ON_DEATH", "on_failure": "ON_FAILURE"}


@dataclass(frozen=True)
class Row:
    """One failure: its number, how long until the next attempt, and how long after the run was due that is."""

    number: int
    wait: str
    at: str


@dataclass(frozen=True)
class Table:
    """What follows failures of one kind. `brief` says it where that takes no table."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    rows: tuple[Row, ...] = ()
    brief: str = ""


@dataclass(frozen=True)
class Sheet:
    """A job's policy: facts by their label, and tables of what follows failures."""

    name: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]


def sheet(job: Job[..., Any], *, attempts: int | None = None) -> Sheet:
    """The whole policy of a job, or of a run of it with its own number of attempts."""
    until = _until(job)
    policy = job.options.retry.with_attempts(attempts or job.options.retry.attempts)
    plain, *ruled = plans(policy, **until)
    crashes = plan_of_crashes(policy, **until)
    tables = [_table("it raises, or times out", plain)]
    tables += [_table(f"it raises {plan.error}", plan, own=True) for plan in ruled]
    return Sheet(job.name, tuple(_facts(job, policy)), (*tables, _table("its process dies", crashes)))


def as_dict(job: Job[..., Any]) -> dict[str, Any]:
    """The same for programs, times in seconds."""
    until = _until(job)
    found = [*plans(job.options.retry, **until), plan_of_crashes(job.options.retry, **until)]
    kinds = ["error", *["rule"] * (len(found) - 2), "crash"]
    return {
        "job": job.name,
        "facts": dict(_facts(job, job.options.retry)),
        "attempts": job.options.retry.attempts,
        "failures": [
            {"kind": kind, "error": plan.error, "steps": [vars(step) for step in plan.steps]}
            for kind, plan in zip(kinds, found, strict=True)
        ],
    }


def longest(job: Job[..., Any]) -> float:
    """How many seconds after it was due the last attempt starts, where each fails and the waits are long."""
    plain, *_ = plans(job.options.retry, **_until(job))
    return max((step.at[1] for step in plain.steps if step.at), default=0.0)


def _until(job: Job[..., Any]) -> dict[str, Any]:
    expires = job.options.expires
    return {"expires": expires.total_seconds() if expires else math.inf, "expired": job.options.expired}


def _facts(job: Job[..., Any], policy: RetryPolicy) -> Iterator[tuple[str, str]]:
    options, choices = job.options, conf.get()
    yield "queue", options.queue
    yield "timeout", in_words(options.timeout or choices.DEFAULT_TIMEOUT)
    yield from _policy_facts(policy)
    yield "expires", _expiry(job)
    for option in fields(options):
        if option.name in _CALLBACKS:
            yield option.name, _callbacks(getattr(options, option.name), getattr(choices, _CALLBACKS[option.name]))
        elif option.name not in _TOLD_APART:
            yield option.name, _shown(getattr(options, option.name))
    own = options.traceback_lines
    yield "traceback_lines", str(choices.TRACEBACK_LINES if own is None else own)


def _policy_facts(policy: RetryPolicy) -> Iterator[tuple[str, str]]:
    written, words = described(policy.backoff)
    yield "attempts", f"{policy.attempts}, then {_given_up(policy)}"
    yield "back-off", f"{written}: {words}"
    yield "jitter", str(policy.spreads)
    yield "deadline", in_words(policy.deadline.total_seconds()) if policy.deadline else "none"


def _given_up(policy: RetryPolicy) -> str:
    return "discarded" if policy.then is Discard else "dead"


def _expiry(job: Job[..., Any]) -> str:
    if job.options.expires is None:
        return "never"
    then = "dead" if job.options.expired is Bury else "discarded"
    return f"{in_words(job.options.expires.total_seconds())} after it is due, then {then}"


def _callbacks(*names: str) -> str:
    return ", ".join(dict.fromkeys(filter(None, names))) or "none"


def _shown(value: object) -> str:
    if value is None or value in ("", (), []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        return in_words(value.total_seconds())
    if isinstance(value, type) or callable(value):
        return str(getattr(value, "__qualname__", value))
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return str(value)


def _table(title: str, plan: Plan, *, own: bool = False) -> Table:
    if plan.policy is None or len(plan.steps) == 1:
        return Table(title, brief=_end(plan.steps[0]))
    facts = tuple(_policy_facts(plan.policy)) if own else ()
    return Table(title, facts, tuple(_rows(plan.steps)))


def _rows(steps: Sequence[Step]) -> Iterator[Row]:
    yield from map(_row, steps[:_SHOWN_STEPS])
    if len(steps) > _SHOWN_STEPS + 1:
        yield Row(_SHOWN_STEPS + 1, "and so on", "")
    if len(steps) > _SHOWN_STEPS:
        yield _row(steps[-1])


def _row(step: Step) -> Row:
    if step.wait is None or step.at is None:
        return Row(step.number, _end(step), "")
    maybe = f", or {_end(step)}" if step.end else ""
    return Row(step.number, f"{_range(step.wait)}{maybe}", _range(step.at))


def _end(step: Step) -> str:
    if step.end == Discard.name:
        return "discarded"
    return f"dead: {DeathReason(step.end).label}"


def _range(seconds: tuple[float, float]) -> str:
    shortest, longest = (in_words(one) for one in seconds)
    return shortest if shortest == longest else f"{shortest} to {longest}"

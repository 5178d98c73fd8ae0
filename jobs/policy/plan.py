"""What a policy comes to: one row per failure, as the judge itself rules on them. Reads no clock and draws no dice.

The judge is asked twice about the same failures, once with the lowest roll of the dice and once with the highest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import Any

from jobs.policy.outcome import Crashed, Outcome, Raised
from jobs.policy.retry import Bury, GiveUp, Retry, RetryPolicy, Standing, Verdict, bare, judge, name_of

# No table that anybody reads is longer.
MOST_STEPS = 1000


class _StandIn(Exception):
    """Raised in the place of a rule's class."""


@dataclass(frozen=True)
class Step:
    """What follows the failure of this number. All in seconds, the shortest and the longest.

    `wait` is the time to the next attempt, and `at` how long after the run was due that one starts; both None where
    none follows. `end` is how the run may end here: "", "discard", or the reason why it is dead.
    """

    number: int
    wait: tuple[float, float] | None
    at: tuple[float, float] | None
    end: str


@dataclass(frozen=True)
class Plan:
    """What follows failures of one kind: `error` is the class of a rule, by its name, or empty."""

    error: str
    policy: RetryPolicy | None
    steps: tuple[Step, ...]


def plans(policy: RetryPolicy, *, expires: float = math.inf, expired: GiveUp = Bury) -> list[Plan]:
    """What follows errors that have no rule, and those of each rule. `expires` is in seconds from when a run is due."""
    until: dict[str, Any] = {"expires": expires, "expired": expired}
    plain = Plan("", policy, _steps(Raised(Exception()), replace(policy, rules={}), **until))
    return [plain, *(_plan_of_rule(error_class, policy, **until) for error_class in policy.rules)]


def plan_of_crashes(policy: RetryPolicy, *, expires: float = math.inf, expired: GiveUp = Bury) -> Plan:
    """What follows when the process dies with the run alone in it."""
    return Plan("", policy, _steps(Crashed(alone=True), policy, expires=expires, expired=expired))


def _plan_of_rule(error_class: type[BaseException], policy: RetryPolicy, *, expires: float, expired: GiveUp) -> Plan:
    rule = policy.rules[error_class]
    # The class itself may want anything to be made.
    alike = replace(policy, rules={_StandIn: rule})
    steps = _steps(Raised(_StandIn()), alike, expires=expires, expired=expired)
    return Plan(name_of(error_class), rule if isinstance(rule, RetryPolicy) else None, steps)


def _steps(outcome: Outcome, policy: RetryPolicy, *, expires: float, expired: GiveUp) -> tuple[Step, ...]:
    low, high = (
        list(islice(_track(outcome, policy, roll=roll, expires=expires, expired=expired), MOST_STEPS))
        for roll in (0.0, 1.0)
    )
    return tuple(_step(number, *pair) for number, pair in enumerate(zip_longest(low, high), 1))


def _track(
    outcome: Outcome, policy: RetryPolicy, *, roll: float, expires: float, expired: GiveUp
) -> Iterator[tuple[Verdict, float]]:
    """The verdicts on failures that take no time, each with the age of the run at the next attempt."""
    attempt, age, failures = 0, 0.0, {}  # type: int, float, dict[str, int]
    while True:
        standing = Standing(age=age, left=max(0.0, expires - age), expired=expired, failures=failures)
        verdict = _verdict(outcome, policy, attempt=attempt + 1, crashes=attempt, roll=roll, standing=standing)
        if not isinstance(verdict, Retry):
            yield verdict, age
            return
        attempt += 1
        age += verdict.seconds
        failures = {**failures, verdict.rule: attempt}
        yield verdict, age


def _verdict(
    outcome: Outcome, policy: RetryPolicy, *, attempt: int, crashes: int, roll: float, standing: Standing
) -> Verdict:
    try:
        return judge(outcome, policy, attempt=attempt, crashes=crashes, roll=roll, standing=standing)
    # As a worker does where the job's own back-off fails.
    except Exception:
        return judge(*bare(outcome, policy), attempt=attempt, crashes=crashes, roll=roll, standing=standing)


def _step(number: int, *pair: tuple[Verdict, float] | None) -> Step:
    told = [one for one in pair if one is not None]
    retries = [(verdict.seconds, age) for verdict, age in told if isinstance(verdict, Retry)]
    ends = [verdict.reason if isinstance(verdict, Bury) else verdict.name for verdict, _ in told]
    end = next((end for end in ends if end != Retry.name), "")
    if not retries:
        return Step(number, None, None, end)
    waits, ages = zip(*retries, strict=True)
    return Step(number, (min(waits), max(waits)), (min(ages), max(ages)), end)

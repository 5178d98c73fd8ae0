"""When a failed job runs again: the policy, the verdicts, and the judge that goes from one to the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import ClassVar

from jobs.errors import BadOptions, DiscardJob, NeedsAPerson
from jobs.policy import jitter as jitters
from jobs.policy.backoff import Backoff, exponential, polynomial
from jobs.policy.jitter import Jitter
from jobs.policy.outcome import (
    Abandoned,
    Crashed,
    DatabaseAway,
    Expired,
    Fused,
    Interrupted,
    NotAccepted,
    NotKnown,
    Outcome,
    Postponed,
    Raised,
    Returned,
    Stopped,
    TimedOut,
)
from jobs.policy.storable import LARGEST

DEFAULT_ATTEMPTS = 25
# Up to a tenth on top: enough to spread a herd, and 25 attempts still take about 21 days.
DEFAULT_JITTER = 0.1
# A partner that says "come back in a year" is asked again tomorrow.
LONGEST_RETRY_AFTER_SECONDS = 86_400.0
# What no back-off means; further, and dates end.
LONGEST_WAIT_SECONDS = 366 * 86_400.0
# A deploy that brings the code takes minutes; an hour forgives a slow one.
UNKNOWN_JOB_PATIENCE_SECONDS = 3600.0
UNKNOWN_JOB_WAIT_SECONDS = 30.0
# Soon enough after a short outage, and rare enough in a long one: an outage is no cause to give up.
_SHORTEST_OUTAGE_WAIT_SECONDS = 2.0
_LONGEST_OUTAGE_WAIT_SECONDS = 15.0
# What is put off for shorter would only ask again, and what waits for one thing must not come back as one.
_SHORTEST_PUT_OFF_SECONDS = 1.0
_LONGEST_PUT_OFF_SPREAD_SECONDS = 60.0
# The third crash is no accident.
CRASHES_TO_BURY = 3
_CRASH_BACKOFF = exponential(4, first=1.0)


@dataclass(frozen=True)
class Done:
    """The run succeeded."""

    name: ClassVar[str] = "done"


@dataclass(frozen=True)
class Retry:
    """Try again after `seconds`. `rule` is the one that said so, by the name of its class of errors."""

    name: ClassVar[str] = "retry"
    seconds: float
    rule: str = ""


@dataclass(frozen=True)
class Bury:
    """Give up until a person looks; `reason` is a value of `DeathReason`."""

    name: ClassVar[str] = "bury"
    reason: str = "permanent"


@dataclass(frozen=True)
class Discard:
    """End quietly: there is nothing to do."""

    name: ClassVar[str] = "discard"


@dataclass(frozen=True)
class Cancel:
    """End for good: somebody has stopped the run."""

    name: ClassVar[str] = "cancel"


@dataclass(frozen=True)
class PutOff:
    """Try again after `seconds`, and do not count this attempt."""

    name: ClassVar[str] = "put off"
    seconds: float


@dataclass(frozen=True)
class HandBack:
    """Return to the front of the queue, and do not count this attempt."""

    name: ClassVar[str] = "hand back"


@dataclass(frozen=True)
class Isolate:
    """Run again in a process of its own, and do not count this attempt: one of several that crashed is to blame."""

    name: ClassVar[str] = "isolate"


Verdict = Done | Retry | Bury | Discard | Cancel | PutOff | HandBack | Isolate
# An attempt that ends so is as if it had not been.
UNCOUNTED = HandBack | PutOff | Isolate
# What names the seconds until the next one.
WAITING = Retry | PutOff


GiveUp = type[Bury] | type[Discard]


@dataclass(frozen=True)
class RetryPolicy:
    """When a failed job runs again.

    `attempts` counts every attempt including the first, so `attempts=1` never retries.
    `backoff` gives the wait in seconds, and `jitter` spreads it: a share that is added at random, or one of
    `jobs.jitter`. `deadline` counts from when the run was first due: no attempt follows that would start after it.
    `then` is what becomes of a run that is given up: `Bury`, or `Discard`.
    `rules` maps an exception class to what holds when it, or a subclass, is raised; the closest class in the MRO wins.
    A rule that is a policy counts its own failures, and they count for this policy's attempts as well.

    Raises `BadOptions` for what cannot be.
    """

    attempts: int = DEFAULT_ATTEMPTS
    backoff: Backoff = field(default_factory=polynomial)
    jitter: float | Jitter = DEFAULT_JITTER
    rules: Mapping[type[BaseException], RetryPolicy | GiveUp] = field(default_factory=dict)
    deadline: timedelta | None = None
    then: GiveUp = Bury

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or not 0 < self.attempts <= LARGEST:
            raise BadOptions(
                f"attempts={self.attempts!r}: pass a whole number up to {LARGEST}, 1 for a job that is never retried"
            )
        if not callable(self.backoff):
            raise BadOptions(f"backoff={self.backoff!r}: pass a back-off such as fixed(5) or exponential(first=10)")
        if self.deadline is not None and not (isinstance(self.deadline, timedelta) and self.deadline > timedelta(0)):
            raise BadOptions(f"deadline={self.deadline!r}: pass a timedelta above 0, such as timedelta(hours=24)")
        if self.then not in (Bury, Discard):
            raise BadOptions(f"then={self.then!r}: pass the class Bury or Discard (not called)")
        jitters.of(self.jitter)
        if not isinstance(self.rules, Mapping):
            raise BadOptions(f"rules={self.rules!r}: pass a dict of exception classes, such as {{ValueError: Bury}}")
        for error_class, rule in self.rules.items():
            _check_rule(error_class, rule)

    @property
    def spreads(self) -> Jitter:
        """The jitter, whichever way it was given."""
        return jitters.of(self.jitter)

    @property
    def has_deadline(self) -> bool:
        """Whether it matters when a run was first due."""
        rules = (rule for rule in self.rules.values() if isinstance(rule, RetryPolicy))
        return self.deadline is not None or any(rule.deadline is not None for rule in rules)

    def with_attempts(self, attempts: int) -> RetryPolicy:
        """This policy with another number of attempts, which bounds the rules too."""
        return replace(self, attempts=attempts)

    def rule_for(self, error: BaseException) -> tuple[type[BaseException] | None, RetryPolicy | GiveUp]:
        """What applies to this error: the rule of the closest class, and that class; else this policy itself."""
        for error_class in type(error).__mro__:
            if error_class in self.rules:
                return error_class, self.rules[error_class]
        return None, self

    def expects(self, error: BaseException) -> bool:
        """Whether a rule ends the run at this error: it tells of the job's own case, and of nothing else."""
        return self.rule_for(error)[1] in (Bury, Discard)


@dataclass(frozen=True)
class Standing:
    """How a run stands when an attempt of it ends.

    `age` is the seconds since it was first due, `left` those until it expires, and `expired` what becomes of it then.
    `failures` counts those before this one by the rule that they came under.
    """

    age: float = 0.0
    left: float = math.inf
    expired: GiveUp = Bury
    failures: Mapping[str, int] = field(default_factory=dict)


FRESH = Standing()


def counts(outcome: Outcome, verdict: Verdict) -> bool:
    """Whether an attempt that ended so counts as one of those that the run may have."""
    return not isinstance(verdict, UNCOUNTED) and not isinstance(outcome, Expired | Fused)


def name_of(error_class: type[BaseException]) -> str:
    """A class of errors as rules are known by: it may be told from one process to another."""
    return f"{error_class.__module__}.{error_class.__qualname__}"


def judge(
    outcome: Outcome, policy: RetryPolicy, *, attempt: int, crashes: int, roll: float, standing: Standing = FRESH
) -> Verdict:
    """What follows from an outcome.

    `attempt` is the number of the attempt that ended, `crashes` how often the run's process died
    before, `roll` a random number from 0 to 1.
    """
    match outcome:
        case Returned():
            return Done()
        case Raised(error) | TimedOut(error):
            return _judge_error(error, policy, attempt=attempt, roll=roll, standing=standing)
        case Stopped():
            return Cancel()
        case Fused():
            return Discard()
        case Crashed(alone=False):
            return Isolate()
        case Crashed():
            return _judge_crash(policy, attempt=attempt, crashes=crashes + 1, roll=roll, standing=standing)
        case Interrupted(seconds=seconds) if seconds > 0:
            return PutOff(seconds)
        case Interrupted() | Abandoned():
            return HandBack()
        case NotKnown(for_seconds=seconds):
            return PutOff(UNKNOWN_JOB_WAIT_SECONDS) if seconds < UNKNOWN_JOB_PATIENCE_SECONDS else Bury("unknown_job")
        case DatabaseAway(for_seconds=seconds):
            wait = min(max(_SHORTEST_OUTAGE_WAIT_SECONDS, seconds / 2), _LONGEST_OUTAGE_WAIT_SECONDS)
            return PutOff(_spread(wait, jitter=jitters.on_top(0.5), roll=roll))
        case Postponed(seconds=seconds):
            return PutOff(_spread_apart(seconds, roll=roll))
        case Expired():
            return _given_up(standing.expired, "expired")
        case NotAccepted():
            return Bury("bad_arguments")


def bare(outcome: Outcome, policy: RetryPolicy) -> tuple[Outcome, RetryPolicy]:
    """What is judged where the job's own back-off or its error fails the judge: as often, and by the default waits."""
    plain = RetryPolicy(attempts=policy.attempts, deadline=policy.deadline)
    return (Raised(Exception()) if isinstance(outcome, Raised | TimedOut) else outcome), plain


def _judge_error(
    error: BaseException, policy: RetryPolicy, *, attempt: int, roll: float, standing: Standing
) -> Verdict:
    if isinstance(error, DiscardJob):
        return Discard()
    error_class, rule = policy.rule_for(error)
    if rule is Discard:
        return Discard()
    if rule is Bury or (rule is policy and isinstance(error, NeedsAPerson)):
        return Bury("permanent")
    assert isinstance(rule, RetryPolicy)
    name = name_of(error_class) if error_class else ""
    failures = standing.failures.get(name, 0) + 1 if name else attempt
    for bound, count in ((rule, failures), (policy, attempt)):
        if count >= bound.attempts:
            return _given_up(bound.then, "exhausted")
    carried = _carried_wait(error)
    if carried is None:
        wait = _spread(rule.backoff(failures), jitter=rule.spreads, roll=roll)
    else:
        wait = rule.spreads.not_before(carried, roll=roll)
    return _in_time(Retry(wait, name), rule, policy, standing=standing)


def _judge_crash(policy: RetryPolicy, *, attempt: int, crashes: int, roll: float, standing: Standing) -> Verdict:
    if crashes >= CRASHES_TO_BURY or attempt >= policy.attempts:
        return Bury("killed_worker")
    wait = _spread(_CRASH_BACKOFF(crashes), jitter=jitters.on_top(1.0), roll=roll)
    return _in_time(Retry(wait), policy, standing=standing)


def _in_time(retry: Retry, *policies: RetryPolicy, standing: Standing) -> Verdict:
    """The retry, unless it comes too late."""
    for policy in policies:
        if policy.deadline is not None and standing.age + retry.seconds > policy.deadline.total_seconds():
            return _given_up(policy.then, "deadline")
    return retry if retry.seconds <= standing.left else _given_up(standing.expired, "expired")


def _given_up(then: GiveUp, reason: str) -> Verdict:
    return Discard() if then is Discard else Bury(reason)


def _carried_wait(error: BaseException) -> float | None:
    """The wait in seconds that the error carries, as a partner's `Retry-After` does."""
    try:
        seconds = getattr(error, "retry_after", None)
    # A property of somebody else's exception may raise anything.
    except Exception:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if isinstance(seconds, float) and not math.isfinite(seconds):
        return None
    # Compared before it is converted: a whole number may be too large for a float.
    return float(min(max(0, seconds), LONGEST_RETRY_AFTER_SECONDS))


def _spread(seconds: float, *, jitter: Jitter, roll: float) -> float:
    """The wait with its jitter; from 0 to the longest, whatever a back-off of the job's own says."""
    # A back-off may give numbers of other libraries, which the journal's JSON does not know.
    wait = jitter.spread(float(seconds), roll=roll)
    return LONGEST_WAIT_SECONDS if math.isnan(wait) else min(max(0.0, wait), LONGEST_WAIT_SECONDS)


def _spread_apart(seconds: float, *, roll: float) -> float:
    """The wait and up to half of it on top, a minute at the most."""
    wait = max(_SHORTEST_PUT_OFF_SECONDS, _spread(seconds, jitter=jitters.NONE, roll=0.0))
    return min(wait + roll * min(wait / 2, _LONGEST_PUT_OFF_SPREAD_SECONDS), LONGEST_WAIT_SECONDS)


def _check_rule(error_class: object, rule: object) -> None:
    if not (isinstance(error_class, type) and issubclass(error_class, BaseException)):
        raise BadOptions(f"rules: {error_class!r} is not an exception class; the keys are classes such as ValueError")
    if rule not in (Bury, Discard) and not isinstance(rule, RetryPolicy):
        raise BadOptions(
            f"rules[{error_class.__name__}] = {rule!r}: pass a RetryPolicy, or the class Bury or Discard (not called)"
        )
    if isinstance(rule, RetryPolicy) and rule.rules:
        raise BadOptions(f"rules[{error_class.__name__}]: a rule has no rules of its own; add them to the policy's")

"""When a job's runs are kept from starting: what a fuse may catch, and when a rule adds one by itself."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.errors import BadFuse, BadOptions, did_you_mean
from jobs.policy.rates import parse_rate

HOLD, SLOW, DISCARD = ACTIONS = ("hold", "slow", "discard")
# A fuse is a stopgap: who needs longer changes the code, or adds it again.
LONGEST_SECONDS = 30 * 86_400.0
DEFAULT_SECONDS = 3600.0
MOST_CONDITIONS = 5
# Redis compares numbers as doubles, which tell whole ones apart up to here.
_EXACT = 2**53
_LONGEST_TEXT = 500
_PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_MISSING = object()

Where = Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """That one argument has this value. It is found at `position`, counted from 0, if it was passed so; else by name;
    and `fits_default` says whether a call that leaves it out is meant too.
    """

    parameter: str
    value: Any
    position: int | None
    fits_default: bool


def conditions(
    signature: inspect.Signature, where: Where, *, job: str, sensitive: Sequence[str] = ()
) -> list[Condition]:
    """What the runs of a job must look like to be caught. Raises `BadFuse` saying what cannot be asked for.

    >>> def charge(order_id, amount=100): ...
    >>> conditions(inspect.signature(charge), {"amount": 100}, job="charge")
    [Condition(parameter='amount', value=100, position=1, fits_default=True)]
    """
    if len(where) > MOST_CONDITIONS:
        raise BadFuse(f"{job}: {len(where)} arguments were given; a fuse looks at {MOST_CONDITIONS} at the most.")
    known = list(signature.parameters)
    return [_condition(signature, known, name, value, job=job, sensitive=sensitive) for name, value in where.items()]


def _condition(
    signature: inspect.Signature, known: list[str], name: str, value: Any, *, job: str, sensitive: Sequence[str]
) -> Condition:
    parameter = signature.parameters.get(name)
    if parameter is None or parameter.kind not in _PLAIN:
        taken = f"It takes {', '.join(known)}." if known else "It takes none."
        raise BadFuse(f'{job} has no argument "{name}".{did_you_mean(name, known)} {taken}')
    if name in sensitive:
        raise BadFuse(f'{job}: "{name}" is sensitive, and a fuse would show it. Use another argument.')
    check_value(value, f"{job}: {name}")
    by_position = parameter.kind is not parameter.KEYWORD_ONLY
    fits_default = parameter.default is not parameter.empty and same(parameter.default, value)
    return Condition(name, value, known.index(name) if by_position else None, fits_default)


def parse_condition(text: str) -> tuple[str, Any]:
    """An argument and its value, as people type them: the value is JSON, and text where it is none.

    Raises ValueError for what names no argument.

    >>> parse_condition("order_id=17"), parse_condition("country=de"), parse_condition('ref="17"')
    (('order_id', 17), ('country', 'de'), ('ref', '17'))
    """
    name, sign, value = (part.strip() for part in text.partition("="))
    if not sign or not name:
        raise ValueError(f'"{text}" names no argument. Write it as name=value, such as order_id=17.')
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def check_value(value: Any, what: str) -> None:
    """Raises `BadFuse` for what is no text, number, boolean or None that can be compared exactly."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if len(value) <= _LONGEST_TEXT and "\0" not in value:
            return
    elif isinstance(value, int | float) and math.isfinite(value) and abs(value) < _EXACT:
        return
    raise BadFuse(
        f"{what} cannot be compared with {str(value)[:50]!r}: pass a text of up to {_LONGEST_TEXT} characters, "
        "a number below 2**53, true, false or null."
    )


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal as JSON has it: 1 is 1.0, and is not true."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def matches(conditions: Sequence[Condition], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call is one that these conditions mean; the claim script decides in the same way."""
    return all(_meets(condition, args, kwargs) for condition in conditions)


def _meets(condition: Condition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    passed = kwargs.get(condition.parameter, _MISSING)
    if condition.position is not None and condition.position < len(args):
        passed = args[condition.position]
    return condition.fits_default if passed is _MISSING else same(passed, condition.value)


def check(action: str, *, rate: str, seconds: float) -> float:
    """The runs that a fuse lets start in a second, 0 for none. Raises `BadFuse` for what cannot be."""
    if action not in ACTIONS:
        raise BadFuse(
            f'"{action}" is nothing that a fuse does.{did_you_mean(action, ACTIONS)} Say hold, slow or discard.'
        )
    if not 0 < seconds <= LONGEST_SECONDS:
        raise BadFuse("A fuse must end: pass seconds above 0, up to 30 days.")
    if action != SLOW:
        if rate:
            raise BadFuse(f"A rate goes with slow only, and this is to {action}. Leave it out, or say slow.")
        return 0.0
    if not rate:
        raise BadFuse("A fuse that is to slow needs a rate: say how many start, such as 5/s or 30/m.")
    try:
        return parse_rate(rate)
    except ValueError as error:
        raise BadFuse(str(error)) from error


@dataclass(frozen=True)
class FuseRule:
    """When a job gets a fuse by itself: at so many `crashes`, or when the share `failure_rate` of its attempts went
    wrong and at least `of` of them ended, `within` so many seconds. None leaves that one out.

    The fuse does `action` for `for_seconds`; `rate` goes with slow. What happened before an earlier fuse ended does
    not count again.

    Raises `BadOptions` for what cannot be.
    """

    crashes: int | None = 5
    failure_rate: float | None = None
    of: int = 20
    within: float = 600.0
    action: str = HOLD
    rate: str = ""
    for_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name in ("crashes", "of"):
            count = getattr(self, name)
            if not (_is_count(count) or (count is None and name == "crashes")):
                raise BadOptions(f"FuseRule: {name}={count!r}: pass a whole number from 1")
        share = self.failure_rate
        if share is not None and not (_is_number(share) and 0 < share <= 1):
            raise BadOptions(f"FuseRule: failure_rate={share!r}: pass a share above 0, up to 1")
        if not (_is_number(self.within) and 60 <= self.within <= 86_400):
            raise BadOptions(f"FuseRule: within={self.within!r}: pass seconds from 60, up to a day")
        try:
            check(self.action, rate=self.rate, seconds=self.for_seconds)
        except BadFuse as error:
            raise BadOptions(f"FuseRule: {error}") from error


@dataclass(frozen=True)
class Figures:
    """What happened to a job: `ended` and `failed` count attempts."""

    crashes: int = 0
    ended: int = 0
    failed: int = 0


def verdict_on(figures: Figures, rule: FuseRule) -> str:
    """Why the rule adds a fuse, empty where it does not.

    >>> verdict_on(Figures(crashes=5), FuseRule())
    '5 crashes in 10 minutes'
    """
    minutes = f"{rule.within / 60:.0f} minutes" if rule.within >= 90 else "a minute"
    if rule.crashes is not None and figures.crashes >= rule.crashes:
        return f"{figures.crashes} crash{'es' if figures.crashes > 1 else ''} in {minutes}"
    enough = rule.failure_rate is not None and figures.ended >= rule.of
    if enough and figures.failed >= (rule.failure_rate or 0.0) * figures.ended and figures.failed:
        return f"{figures.failed} of {figures.ended} attempts failed in {minutes}"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0

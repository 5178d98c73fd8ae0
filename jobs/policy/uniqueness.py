"""When two runs count as the same, and what follows when one of them is there. Holds nothing and locks nothing."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, TypeVar, get_args

from jobs.errors import BadOptions

# "args" for all arguments, the names of those that count, or what makes a key of them.
By = str | Sequence[str] | Callable[..., Any]
Until = Literal["finished", "started"]
OnConflict = Literal["skip", "replace", "raise"]
# Where the run that has the key is: it waits for its first attempt, it has begun, or it has ended in its period.
Holder = Literal["waiting", "started", "ended"]
# What the caller gets or does: that run, an error, that run's place, or its key.
Step = Literal["give", "raise", "replace", "free"]

T = TypeVar("T")


@dataclass(frozen=True)
class Unique:
    """Of equal runs of a job, one at a time.

    `by` says which are equal: `"args"` those with the same arguments, a list of names those with the same values of
    these, a function what it makes of the arguments, by name; None then says that a call has no equal.
    `until` says how long a run keeps others out: until it has ended, or until its first attempt begins.
    `lasting` keeps them out for a period from the asking as well, also after the run has succeeded.
    `on_conflict` is what a second asking does: `"skip"` gives the run that is there, `"replace"` cancels it while it
    waits and takes its place, `"raise"` raises `AlreadyPending`.
    """

    by: By = "args"
    until: Until = "finished"
    lasting: timedelta | None = None
    on_conflict: OnConflict = "skip"


Asked = Unique | By | None


def check(unique: Asked, parameters: Sequence[str], *, job: str) -> Unique | None:
    """What was asked for with `by` as names or a function; None for a job that is not unique.

    Raises `BadOptions` for what cannot be, such as a parameter that the job does not have.
    """
    if unique is None:
        return None
    asked = unique if isinstance(unique, Unique) else Unique(unique)
    _check_choice("until", asked.until, Until, job)
    _check_choice("on_conflict", asked.on_conflict, OnConflict, job)
    _check_period(asked.lasting, job)
    return replace(asked, by=_checked_by(asked.by, parameters, job))


def unique_key(job: str, arguments: Mapping[str, Any], by: By) -> str | None:
    """A short text that is equal for runs that count as the same; None where `by` says that there is none.

    >>> unique_key("a.b", {"x": 1, "y": 2}, ["x"]) == unique_key("a.b", {"x": 1, "y": 3}, ["x"])
    True
    >>> unique_key("a.b", {"x": 1}, lambda x: f"even {x % 2}") == unique_key("a.b", {"x": 3}, lambda x: f"even {x % 2}")
    True
    """
    if callable(by):
        made = by(**arguments)
        return None if made is None else _digest([job, "by", _plain(made, job)])
    return _digest([job, {name: arguments.get(name) for name in by}])


def step(unique: Unique, holder: Holder) -> Step:
    """What follows when an equal run is there. What has begun cannot be replaced."""
    if holder == "started" and unique.until == "started":
        return "free"
    if unique.on_conflict == "skip":
        return "give"
    return "replace" if unique.on_conflict == "replace" and holder == "waiting" else "raise"


def collapse(calls: Iterable[T], key: Callable[[T], str | None], *, last: bool) -> tuple[list[T], list[tuple[T, T]]]:
    """The calls of which no two are equal, in their order; and each other one with the equal that stands for it.

    Of equal ones the first stands for all, or the last. One without a key has no equal.
    """
    given = list(calls)
    standing = {key(call): call for call in (given if last else reversed(given))}
    pairs = [(call, call if key(call) is None else standing[key(call)]) for call in given]
    return [call for call, stands in pairs if call is stands], [pair for pair in pairs if pair[0] is not pair[1]]


def _digest(value: Any) -> str:
    # A default need not be JSON; its class's name is the same in every process.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=lambda it: type(it).__qualname__)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(made: Any, job: str) -> Any:
    if isinstance(made, str | int) and not isinstance(made, bool):
        return made
    raise BadOptions(f"{job}: the function of unique made {made!r}: let it return a text or a whole number, or None")


def _check_choice(option: str, value: object, choices: Any, job: str) -> None:
    if value not in get_args(choices):
        raise BadOptions(f"{job}: unique {option}={value!r}: pass one of {list(get_args(choices))}")


def _check_period(lasting: timedelta | None, job: str) -> None:
    if lasting is not None and not (isinstance(lasting, timedelta) and lasting > timedelta(0)):
        raise BadOptions(f"{job}: unique lasting={lasting!r}: pass a timedelta above 0, such as timedelta(hours=1)")


def _checked_by(by: Any, parameters: Sequence[str], job: str) -> By:
    if isinstance(by, str) and by == "args":
        return tuple(parameters)
    if callable(by):
        return _checked_function(by, parameters, job)
    if isinstance(by, str) or not isinstance(by, Sequence):
        raise BadOptions(
            f'{job}: unique={by!r}: pass "args", a list of parameter names such as {list(parameters)[:1]}, '
            "or a function of the arguments"
        )
    for name in by:
        if name not in parameters:
            raise BadOptions(f"{job}: unique names {name!r}, which is not one of its parameters: {list(parameters)}")
    return tuple(by)


def _checked_function(by: Callable[..., Any], parameters: Sequence[str], job: str) -> Callable[..., Any]:
    try:
        inspect.signature(by).bind(**dict.fromkeys(parameters))
    except (TypeError, ValueError) as error:
        raise BadOptions(
            f"{job}: the function of unique is called with the job's arguments by name, {list(parameters)}; "
            f"let it take them, or **arguments: {error}"
        ) from error
    return by

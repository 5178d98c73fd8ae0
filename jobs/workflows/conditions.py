"""Conditions that are functions: known by name, so that a row can say which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from jobs.errors import BadArguments, BadOptions, BadWorkflow, did_you_mean

Predicate = TypeVar("Predicate", bound=Callable[..., bool])

_known: dict[str, Callable[..., bool]] = {}


@overload
def condition(function: Predicate, /) -> Predicate: ...
@overload
def condition(*, name: str) -> Callable[[Predicate], Predicate]: ...
def condition(function: Callable[..., bool] | None = None, /, *, name: str = "") -> Any:
    """Let `when=holds(function, …)` ask this function whether a step is to begin.

    It belongs into a `jobs.py`, where every process finds it. It is called while what follows is looked at, in that
    transaction, so it should only look, and be quick. `name` keeps it over a move.
    """

    def register(target: Callable[..., bool]) -> Callable[..., bool]:
        known_as = name or f"{target.__module__.removesuffix('.jobs')}.{target.__qualname__}"
        if "<" in known_as:
            raise BadOptions(f"{known_as}: a lambda or a function inside a function is no condition; give it name=…")
        _known[known_as] = target
        return target

    return register if function is None else register(function)


def holds(function: Callable[..., bool], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The condition that a function which is known as one is true of these arguments; results may be among them."""
    name = next((name for name, known in _known.items() if known is function), None)
    if name is None:
        raise BadWorkflow(f"{function!r} is not known as a condition; put @condition above it, in a jobs.py.")
    return {"predicate": name, "args": list(args), "kwargs": kwargs}


def ask(name: str, args: list[Any], kwargs: dict[str, Any]) -> bool:
    """What a condition says. Raises `BadWorkflow` where no function of that name is known here."""
    if name not in _known:
        raise BadWorkflow(f'No condition is named "{name}" here.{did_you_mean(name, _known)} Put it in a jobs.py.')
    try:
        return bool(_known[name](*args, **kwargs))
    except TypeError as error:
        raise BadArguments(f"the condition {name}: {error}") from error

"""When two runs count as the same. Holds nothing and locks nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.errors import BadOptions

# Nothing, "args" for all arguments, or the names of those that count.
Unique = str | Sequence[str] | None


def check(unique: Unique, parameters: Sequence[str], *, job: str) -> tuple[str, ...] | None:
    """The parameters that count, or None for a job that is not unique.

    Raises `BadOptions` for a parameter that the job does not have.
    """
    if unique is None:
        return None
    if unique == "args":
        return tuple(parameters)
    if isinstance(unique, str) or not isinstance(unique, Sequence):
        raise BadOptions(
            f'{job}: unique={unique!r}: pass "args", or a list of parameter names such as {list(parameters)[:1]}'
        )
    for name in unique:
        if name not in parameters:
            raise BadOptions(f"{job}: unique names {name!r}, which is not one of its parameters: {list(parameters)}")
    return tuple(unique)


def unique_key(job: str, arguments: Mapping[str, Any], parameters: Sequence[str]) -> str:
    """A short text that is equal for runs that count as the same.

    >>> unique_key("a.b", {"x": 1, "y": 2}, ["x"]) == unique_key("a.b", {"x": 1, "y": 3}, ["x"])
    True
    """
    counted = {name: arguments.get(name) for name in parameters}
    # A default need not be JSON; its class's name is the same in every process.
    text = json.dumps([job, counted], sort_keys=True, separators=(",", ":"), default=lambda it: type(it).__qualname__)
    return hashlib.sha256(text.encode()).hexdigest()

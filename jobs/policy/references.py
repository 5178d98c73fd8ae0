"""Plain JSON that stands for what is known later: the result of a step, an item of a list. Fetches nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jobs.policy import redaction

RESULT_OF = "jobs:result_of"
ITEM = "jobs:item"
# What `result_of` says of "the step before this one", until a chain gives it its name.
PREVIOUS = ""


class Reference(dict[str, Any]):
    """A place in the arguments of a step that is filled when the step begins. A dict, so that it is plain JSON.

    Its methods make conditions.
    """

    def equals(self, value: Any) -> Condition:
        return Condition(self, "equals", value)

    def differs_from(self, value: Any) -> Condition:
        return Condition(self, "differs from", value)

    def above(self, value: float | str) -> Condition:
        return Condition(self, "above", value)

    def below(self, value: float | str) -> Condition:
        return Condition(self, "below", value)

    def at_least(self, value: float | str) -> Condition:
        return Condition(self, "at least", value)

    def at_most(self, value: float | str) -> Condition:
        return Condition(self, "at most", value)

    def is_in(self, values: Sequence[Any]) -> Condition:
        return Condition(self, "in", list(values))

    def is_true(self) -> Condition:
        return Condition(self, "true", True)

    def is_false(self) -> Condition:
        return Condition(self, "true", False)


class Condition(dict[str, Any]):
    """Whether a step is to begin: what a reference says, compared with a value. Plain JSON."""

    def __init__(self, of: Reference, compares: str, value: Any) -> None:
        super().__init__(of=of, compares=compares, value=value)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda found, value: found == value,
    "differs from": lambda found, value: found != value,
    "above": lambda found, value: found > value,
    "below": lambda found, value: found < value,
    "at least": lambda found, value: found >= value,
    "at most": lambda found, value: found <= value,
    "in": lambda found, value: found in value,
    "true": lambda found, value: bool(found) is value,
}


def holds(condition: Mapping[str, Any], found: Any) -> bool:
    """Whether what was found in the place of a condition's reference is as it says.

    Nothing is neither above nor below anything. Raises `TypeError` for what cannot be compared.

    >>> holds(Reference({RESULT_OF: "plan", "path": ["total"]}).above(100), 120)
    True
    """
    compares = condition["compares"]
    if found is None and compares in ("above", "below", "at least", "at most"):
        return False
    return _COMPARISONS[compares](found, condition["value"])


def in_words(condition: Mapping[str, Any]) -> str:
    """A condition as people read it, without what is compared with a secret.

    >>> in_words(Reference({RESULT_OF: "plan", "path": ["total"]}).above(100))
    'plan[total] above 100'
    >>> in_words(Reference({RESULT_OF: "login", "path": ["token"]}).equals("s3cret"))
    'login[token] equals [redacted]'
    """
    if "predicate" in condition:
        return str(condition["predicate"])
    of = condition["of"]
    path = "".join(f"[{part}]" for part in of.get("path", ()))
    if condition["compares"] == "true":
        return f"{'' if condition['value'] else 'not '}{of[RESULT_OF]}{path}"
    is_secret = any(redaction.is_secret(str(part)) for part in of.get("path", ()))
    value = redaction.MASK if is_secret else repr(redaction.mask(condition["value"]))
    return f"{of[RESULT_OF]}{path} {condition['compares']} {value}"


def is_reference(value: object) -> bool:
    """Whether a value of plain JSON is a reference."""
    return isinstance(value, dict) and (RESULT_OF in value or ITEM in value)


def found_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """The references within a value of plain JSON."""
    if is_reference(value):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from found_in(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from found_in(part)


def filled(value: Any, fill: Callable[[Mapping[str, Any]], Any]) -> Any:
    """The value with each reference replaced by what `fill` gives for it.

    >>> filled({"to": [{RESULT_OF: "plan"}, 1]}, lambda reference: "Ada")
    {'to': ['Ada', 1]}
    """
    if is_reference(value):
        return fill(value)
    if isinstance(value, dict):
        return {key: filled(part, fill) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [filled(part, fill) for part in value]
    return value


def followed(value: Any, path: Sequence[str | int]) -> Any:
    """What a path leads to within a value: keys of dicts and places in lists. Raises `LookupError` where it leads
    nowhere.

    >>> followed({"items": [{"id": 7}]}, ["items", 0, "id"])
    7
    """
    for part in path:
        value = _inner(value, part)
    return value


def _inner(value: Any, part: str | int) -> Any:
    if isinstance(value, list) if isinstance(part, int) else isinstance(value, dict):
        return value[part]
    raise LookupError(part)

"""What may be an argument of a job: plain JSON, small. Binds to signatures; converts nothing."""

from __future__ import annotations

import datetime
import decimal
import enum
import inspect
import json
import math
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jobs.errors import ArgumentsNotJSON, ArgumentsTooLarge, BadArguments

_MAX_DEPTH = 50
# Python reads no number of more than 4,300 digits, and this is a third of it.
_MAX_BITS = 4096
# Whole numbers up to here and texts up to there are looked at no closer: most arguments are ids and short words.
_PLAIN_INT = 2**63
_PLAIN_TEXT = 200

# As Django's JSON columns are written, so that a search in their text finds all rows alike.
_encode = json.JSONEncoder(allow_nan=False).encode


class Fitted(NamedTuple):
    """The arguments of one call as the function will get them: by position, by name, and all of them by parameter."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    by_parameter: Mapping[str, Any]


def fitter(signature: inspect.Signature, name: str) -> Callable[[Sequence[Any], Mapping[str, Any]], Fitted]:
    """What fits calls of one job to its signature. It raises `BadArguments`, as `bind` does, and is ten times as fast
    for calls with positional arguments alone.
    """
    names = list(signature.parameters)
    least, most = _positional_range(signature) or (1, 0)

    def fit(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Fitted:
        if not kwargs and least <= len(args) <= most:
            return Fitted(args, kwargs, dict(zip(names, args, strict=False)))
        bound = bind(signature, name, args, kwargs)
        return Fitted(bound.args, bound.kwargs, bound.arguments)

    return fit


def bind(
    signature: inspect.Signature, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments as the function will get them, without defaults.

    Raises `BadArguments` when they do not fit the signature.
    """
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise BadArguments(f"{name}{signature}: {error}. Pass what the job's signature asks for.") from error


def spread(signature: inspect.Signature, by_parameter: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments by parameter as a call has them: by position, and by name.

    >>> spread(inspect.signature(lambda order, *rest, note="", **more: None), {"order": 1, "rest": [2], "note": "x"})
    ((1, 2), {'note': 'x'})
    """
    names = [name for name in signature.parameters if name in by_parameter]
    bound = inspect.BoundArguments(signature, OrderedDict((name, by_parameter[name]) for name in names))
    return bound.args, bound.kwargs


def _positional_range(signature: inspect.Signature) -> tuple[int, int] | None:
    """How few and how many positional arguments always fit; None where only `bind` can tell.

    >>> _positional_range(inspect.signature(lambda order, amount=1: None))
    (1, 2)
    """
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = signature.parameters.values()
    if any(parameter.kind not in plain for parameter in parameters):
        return None
    return sum(parameter.default is parameter.empty for parameter in parameters), len(parameters)


def dump(arguments: Mapping[str, Any], *, name: str, limit: int) -> str:
    """The arguments, by parameter name, as JSON text.

    Raises `ArgumentsNotJSON` naming the argument and what to pass instead, and `ArgumentsTooLarge`
    above `limit` bytes without spaces.
    """
    for parameter, value in arguments.items():
        if not is_plain(value):
            _check(value, f"{name}: {parameter}", depth=0)
    text = _encode(arguments)
    if len(text) > limit:
        _refuse_if_too_large(arguments, name=name, limit=limit)
    return text


def dump_payload(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Arguments that `dump` has taken, as [positional, by name]."""
    return f"[{_encode(list(args))}, {_encode(kwargs) if kwargs else '{}'}]"


def is_plain(value: object) -> bool:
    """Whether a value is JSON beyond doubt, and the same in Python and JSON; others need a closer look."""
    kind = type(value)
    if kind is int:
        return -_PLAIN_INT < value < _PLAIN_INT  # type: ignore[operator]
    if kind is str:
        return len(value) <= _PLAIN_TEXT and value.isascii() and "\x00" not in value  # type: ignore[arg-type, attr-defined, operator]
    return value is None or kind is bool


def _refuse_if_too_large(arguments: Mapping[str, Any], *, name: str, limit: int) -> None:
    size = len(json.dumps(arguments, separators=(",", ":")))
    if size > limit:
        raise ArgumentsTooLarge(
            f"{name}: the arguments are {size:,} bytes and the limit is {limit:,}. "
            'Store the data in a row or a file and pass its id, or raise JOBS["MAX_ARGUMENT_BYTES"].'
        )


def _check(value: object, path: str, *, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ArgumentsNotJSON(f"{path} is nested more than {_MAX_DEPTH} deep. Store the data and pass its id.")
    # An enum that is also a string or a number would arrive as a plain one.
    if isinstance(value, enum.Enum):
        raise ArgumentsNotJSON(f"{path} is {value!r}, an enum; pass {path.rpartition(' ')[2]}.value.")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise ArgumentsNotJSON(f"{path} is too long a number to be read back. Pass it as text.")
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ArgumentsNotJSON(f"{path} is {value}, which JSON cannot carry. Pass None or a finite number.")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth=depth + 1)
    elif isinstance(value, dict):
        _check_dict(value, path, depth=depth)
    else:
        raise ArgumentsNotJSON(f"{path} is {_describe(value)}, not plain JSON; {_cure(value, path)}")


def _check_dict(value: dict[Any, Any], path: str, *, depth: int) -> None:
    for key, item in value.items():
        if type(key) is not str:
            raise ArgumentsNotJSON(f"{path} has the key {key!r}; JSON's keys are strings: pass {str(key)!r}.")
        _check_text(key, path)
        _check(item, f"{path}[{key!r}]", depth=depth + 1)


def _check_text(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentsNotJSON(f"{path} has half of a surrogate pair; decode the text properly first.") from error
    if "\x00" in value:
        raise ArgumentsNotJSON(f"{path} has a NUL character, which databases refuse; strip it first.")


def _describe(value: object) -> str:
    return f"a {type(value).__name__}"


def _cure(value: object, path: str) -> str:
    name = path.rpartition(" ")[2]
    if hasattr(value, "pk") and hasattr(value, "_meta"):
        return f"pass {name}.pk and fetch the record in the job."
    if isinstance(value, datetime.date | datetime.time):
        return f"pass {name}.isoformat()."
    if isinstance(value, datetime.timedelta):
        return f"pass {name}.total_seconds()."
    if isinstance(value, set | frozenset):
        return f"pass sorted({name})."
    if isinstance(value, bytes | bytearray | memoryview):
        return "store the data and pass its id, or pass base64 text."
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return f"pass str({name})."
    if hasattr(value, "model") and hasattr(value, "query"):
        return f"pass list({name}.values_list('pk', flat=True)) or a filter's values."
    return "pass ids and plain JSON values, and fetch the rest in the job."


def dump_result(value: object, *, limit: int) -> str | None:
    """A job's result as JSON text; None where it is nothing, not plain JSON, or larger than `limit` bytes.

    Never raises: the work is done, and a result that cannot be kept must not undo it.
    """
    if value is None:
        return None
    try:
        _check(value, "result", depth=0)
    # Not only ours: the message may quote an object whose own repr raises.
    except Exception:
        return None
    text = json.dumps(value, separators=(",", ":"))
    return text if len(text) <= limit else None

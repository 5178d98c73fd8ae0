"""Runs that plain RQ or django-rq enqueued: what their hashes say, and which functions they may name.

Nothing is imported that `JOBS["FOREIGN_JOBS"]` does not allow, and no pickle is read without `JOBS["FOREIGN_PICKLE"]`.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rq.serializers import JSONSerializer

from jobs import conf
from jobs.broker.claim import Claim
from jobs.broker.foreign_message import as_json, date_in, unpacked
from jobs.broker.unpickling import TrustedPickle, own_name
from jobs.errors import BadArguments, NotAllowed, UnknownJob
from jobs.policy import ids
from jobs.policy.foreign import allows, places, retry_policy
from jobs.policy.retry import LONGEST_WAIT_SECONDS, RetryPolicy
from jobs.policy.storable import LATEST_MS

# What an attempt leaves in the hash, and what is written anew when a run is pushed again.
_PASSING = {
    "attempts", "claimed_ms", "crashes", "created_at", "description", "durable", "ended_at", "enqueued_at", "exc_info",
    "foreign", "last_heartbeat", "life", "number_of_retries", "origin", "ready_ms", "result", "started_at", "status",
    "unknown_since_ms", "away_ms", "put_off", "worker_name",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """What a message asks to call. `instance` is what the function is a method of, or None."""

    name: str
    instance: Any
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Foreign:
    """What a row keeps of plain RQ's message, to push it again: the row's id, and RQ's fields as JSON can hold them."""

    row_id: str
    fields: Mapping[str, Any]


def call_of(claim: Claim) -> Call:
    """What the message asks to call.

    Raises `NotAllowed` for a module that is not allowed, `UnknownJob` where an allowed one has no such function,
    `BadArguments` for what cannot or may not be read.
    """
    data = unpacked(claim.raw or {})
    parts = as_json(data)
    if parts is None:
        if "." in claim.name:
            # Looked up first: who names a module that is not allowed has nothing unpickled.
            function(claim.name)
        parts = _unpickled(data)
    named, instance, args, kwargs = parts
    called = method(instance, named) if instance is not None else function(named)
    name = f"{type(instance).__module__}.{type(instance).__qualname__}.{named}" if instance is not None else named
    return Call(name, instance, called, tuple(args), dict(kwargs))


def serializer_of(claim: Claim) -> type[JSONSerializer] | type[TrustedPickle]:
    """How the message was written, and so how its result will be read."""
    return TrustedPickle if as_json(unpacked(claim.raw or {})) is None else JSONSerializer


def function(path: str) -> Callable[..., Any]:
    """The function of a dotted path in an allowed module. Raises `NotAllowed` or `UnknownJob`."""
    found = places(path, conf.get().FOREIGN_JOBS)
    if not found:
        module = path.rpartition(".")[0]
        raise NotAllowed(
            f'Plain RQ enqueued "{path}", which is not allowed here. '
            f'Add "{module or path}" to JOBS["FOREIGN_JOBS"], restart the workers, and retry.'
        )
    for module, names in found:
        if (imported := _imported(module)) is not None:
            return _callable_in(imported, names, path)
    raise UnknownJob(f'There is no module for "{path}" here. Deploy the code that has it, then retry.')


def method(instance: Any, name: str) -> Callable[..., Any]:
    """A method of an unpickled instance, whose class an allowed module defines. Raises `NotAllowed` or `UnknownJob`."""
    home = type(instance).__module__
    if not allows(conf.get().FOREIGN_JOBS, home):
        raise NotAllowed(
            f"Plain RQ enqueued the method {name} of a {home}.{type(instance).__qualname__}, which is not allowed "
            f'here. Add "{home}" to JOBS["FOREIGN_JOBS"], restart the workers, and retry.'
        )
    called = getattr(instance, name, None)
    if not callable(called):
        raise UnknownJob(
            f"{home}.{type(instance).__qualname__} has no method {name} here. Deploy the code, then retry."
        )
    return called


def row_id(claim: Claim) -> str:
    """The id of the run's row: the same at every attempt, another one when RQ's id is enqueued again."""
    if kept := _uuid(claim.fields.get("foreign", "")):
        return kept
    words = [claim.run_id, *(claim.fields.get(field, "") for field in ("created_at", "enqueued_at", "repeats_left"))]
    noise = hashlib.sha256("\0".join(words).encode(errors="replace")).digest()
    created_at = date(claim, "created_at")
    nanoseconds = int(created_at.timestamp()) * 10**9 + created_at.microsecond * 1000 if created_at else 0
    return str(ids.time_sorted(max(0, min(nanoseconds, LATEST_MS * 10**6)), noise))


def date(claim: Claim, field: str) -> datetime | None:
    """A time from the hash, None where it is missing or damaged."""
    return date_in(claim.fields, field)


def retry_policy_of(claim: Claim) -> RetryPolicy:
    """RQ's `Retry` as one of our policies."""
    return retry_policy(
        attempt=max(1, claim.attempt), retries_left=claim.number("retries_left"), intervals=intervals(claim)
    )


def intervals(claim: Claim, field: str = "retry_intervals") -> list[float]:
    """A list of waits in seconds from the hash, empty where it is missing or damaged."""
    try:
        told = json.loads(claim.fields[field])
        return [float(min(max(0, seconds), LONGEST_WAIT_SECONDS)) for seconds in told]
    except (KeyError, ValueError, TypeError, RecursionError):
        return []


def kept_fields(claim: Claim) -> dict[str, Any]:
    """RQ's own fields of the hash as a row can keep them: text, or `["base64", …]` for what is none."""
    raw = {name.decode(errors="replace"): value for name, value in (claim.raw or {}).items()}
    return {name: _kept(value) for name, value in raw.items() if name not in _PASSING}


def restored_fields(kept: Mapping[str, Any]) -> dict[str, bytes | str]:
    """The hash's fields that `kept_fields` kept."""
    return {name: value if isinstance(value, str) else base64.b64decode(value[1]) for name, value in kept.items()}


def plain_arguments(claim: Claim) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a message in JSON, without looking at its function; none of a pickle."""
    try:
        parts = as_json(unpacked(claim.raw or {}))
    except BadArguments:
        parts = None
    return (list(parts[2]), dict(parts[3])) if parts else ([], {})


def _unpickled(data: bytes) -> tuple[str, Any, list[Any], dict[str, Any]]:
    try:
        name, instance, args, kwargs = TrustedPickle.loads(data)
        if isinstance(name, str) and isinstance(args, tuple | list) and isinstance(kwargs, dict):
            return name, instance, list(args), kwargs
    except BadArguments:
        raise
    # A pickle runs code of its classes, which may raise anything.
    except BaseException as error:
        raise BadArguments(f"Its pickle cannot be read here: {type(error).__name__}: {error}.") from error
    raise BadArguments("Its message is neither RQ's JSON nor RQ's pickle; other serializers are not supported.")


def _imported(module: str) -> Any:
    """The module, or None where there is none of this name; what an existing one raises goes on as `UnknownJob`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            return None
        raise UnknownJob(f"{module} cannot be imported here: {error}. Deploy what it needs, then retry.") from error
    except Exception as error:
        raise UnknownJob(f"{module} cannot be imported here: {error!r}. Mend it, then retry.") from error


def _callable_in(module: Any, names: tuple[str, ...], path: str) -> Callable[..., Any]:
    try:
        found = own_name(module, list(names))
    except AttributeError as error:
        raise UnknownJob(f'There is no "{path}" here: {error}. Deploy the code that has it, then retry.') from error
    except BadArguments as error:
        raise NotAllowed(str(error)) from error
    if not callable(found):
        raise UnknownJob(f'"{path}" is no function. Deploy the code in which it is one, then retry.')
    return found


def _kept(value: bytes) -> Any:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\x00"
    # PostgreSQL's JSON holds no NUL.
    return ["base64", base64.b64encode(value).decode()] if "\x00" in text else text


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return ""

"""What the journal hears of a run that plain RQ enqueued, so that its row can be made."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from typing import Any

from jobs import drafts
from jobs.broker import foreign
from jobs.broker.claim import Claim
from jobs.broker.foreign import Call
from jobs.policy import redaction

_SHOWN_CHARACTERS = 200
_DEEPEST = 20

# By the claim's token, while it is at work: reading a pickle again would run it again.
_named: dict[str, tuple[str, dict[str, Any]]] = {}


def remember(claim: Claim, call: Call) -> None:
    """Keep how the call is told of until `forget`."""
    _named[claim.token] = (call.name, _by_name(call))


def forget(claim: Claim) -> None:
    _named.pop(claim.token, None)


def secrets(claim: Claim) -> set[str]:
    """The values that are masked wherever they stand."""
    return redaction.secret_values(_told(claim)[1], sensitive=drafts.sensitive_names(None))


def row_facts(claim: Claim) -> dict[str, Any]:
    """What the recorder needs to make the row. The payload's third part is RQ's own message."""
    name, arguments = _told(claim)
    created_at = foreign.date(claim, "created_at") or datetime.fromtimestamp(claim.claimed_ms / 1000, UTC)
    return {
        "id": foreign.row_id(claim),
        "rq_id": claim.run_id[:200],
        "name": name[:200] or "(unreadable)",
        "queue": claim.queue,
        "payload": [[], arguments, foreign.kept_fields(claim)],
        "arguments": drafts.masked(None, arguments),
        "options": {},
        "max_attempts": foreign.retry_policy_of(claim).attempts,
        "created_at": created_at.isoformat(),
        "parent": "",
        "correlation": "",
    }


def _told(claim: Claim) -> tuple[str, dict[str, Any]]:
    if claim.token in _named:
        return _named[claim.token]
    args, kwargs = foreign.plain_arguments(claim)
    arguments = {"args": args, **kwargs} if args else kwargs
    return claim.name, {name: _plain(value) for name, value in arguments.items()}


def _by_name(call: Call) -> dict[str, Any]:
    try:
        bound: dict[str, Any] = dict(inspect.signature(call.function).bind(*call.args, **call.kwargs).arguments)
    except (TypeError, ValueError):
        bound = {"args": call.args, **call.kwargs}
    return {name: _plain(value) for name, value in bound.items()}


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON can hold it: what is no plain data by how it shows itself."""
    if value is None or isinstance(value, bool | int | float):
        return _shown(value) if _is_odd(value) else value
    if isinstance(value, str):
        return _text(value)
    if depth < _DEEPEST and type(value) in (list, tuple):
        return [_plain(one, depth + 1) for one in value]
    if depth < _DEEPEST and type(value) is dict and all(type(key) is str for key in value):
        return {_text(key): _plain(one, depth + 1) for key, one in value.items()}
    return _shown(value)


def _is_odd(value: Any) -> bool:
    """Whether it is a number that JSON or a reader of it refuses, or a class of somebody's own."""
    try:
        return type(value) not in (type(None), bool, int, float) or len(json.dumps(value, allow_nan=False)) > 400
    except ValueError:
        return True


def _shown(value: Any) -> str:
    try:
        return _text(repr(value))[:_SHOWN_CHARACTERS]
    # It is the project's own code.
    except BaseException:
        return f"({type(value).__name__})"


def _text(value: str) -> str:
    # Neither NUL nor half a surrogate pair can be stored.
    return str(value).replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()

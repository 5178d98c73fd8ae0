"""The message in a hash of plain RQ: unpacked, and told apart. Imports nothing of the project's, unpickles nothing."""

from __future__ import annotations

import json
import pickletools
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jobs.errors import BadArguments

# More than RQ's users put into Redis on purpose; what is packed may grow a thousandfold.
_MOST_BYTES = 64 * 2**20
Parts = tuple[str, Any, list[Any], dict[str, Any]]


def name_of(raw: Mapping[bytes, bytes]) -> str:
    """The function's dotted name; empty where it cannot be read."""
    try:
        data = unpacked(raw)
    except BadArguments:
        return ""
    parts = as_json(data)
    return parts[0] if parts else _first_text(data)


def date_in(fields: Mapping[str, str], field: str) -> datetime | None:
    """A time from the hash, None where it is missing or damaged."""
    try:
        moment = datetime.fromisoformat(fields[field])
    except (KeyError, ValueError):
        return None
    # RQ writes UTC, and once wrote it without saying so.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def enqueued_ms(fields: Mapping[str, str]) -> str:
    """When RQ put it into its queue, on the clock of who did; empty where it does not say."""
    moment = date_in(fields, "enqueued_at")
    return str(int(moment.timestamp() * 1000)) if moment else ""


def unpacked(raw: Mapping[bytes, bytes]) -> bytes:
    """The message. Raises `BadArguments` for one that is too large."""
    packed = raw.get(b"data", b"")
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(packed, _MOST_BYTES)
    except zlib.error:
        # RQ wrote it unpacked once, and still reads it so.
        return packed
    if unpacking.unconsumed_tail:
        raise BadArguments(f"Its arguments are more than {_MOST_BYTES:,} bytes. Store the data, and pass its id.")
    return data


def as_json(data: bytes) -> Parts | None:
    """RQ's four parts of a message in JSON; None for any other."""
    if not data.startswith(b"["):
        return None
    try:
        name, instance, args, kwargs = json.loads(data)
    except (ValueError, TypeError, RecursionError):
        return None
    sound = isinstance(name, str) and instance is None and isinstance(args, list) and isinstance(kwargs, dict)
    return (name, None, args, kwargs) if sound else None


def _first_text(data: bytes) -> str:
    """The first text in a pickle, without running it."""
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if isinstance(argument, str) and "UNICODE" in opcode.name:
                return argument
            # The first part is no text.
            if opcode.name in ("NONE", "STOP", "GLOBAL", "STACK_GLOBAL"):
                return ""
    # A damaged pickle ends the reading in many ways.
    except Exception:
        return ""
    return ""

"""What this process knows of circuits, for a second at the most, and what it does while Redis cannot be asked."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from jobs.broker import circuits as server
from jobs.broker.circuits import Seen
from jobs.errors import BrokerUnavailable, CircuitOpen
from jobs.policy.circuit import Rules
from jobs.signals import circuit_changed

logger = logging.getLogger(__name__)

# How old what a process knows of a circuit may be.
_FRESH_SECONDS = 1.0
# Of names that are made as one goes; what is forgotten is asked for again.
_MOST_KNOWN = 1000


class _Known(NamedTuple):
    """`fresh_until` and `tried_at` are moments of the monotonic clock."""

    is_closed: bool
    is_probed: bool
    fresh_until: float
    tried_at: float


_known: dict[str, _Known] = {}
_is_away = False
_is_set_aside = False


def ask(name: str, rules: Rules) -> str:
    """The token of the probe that this call is; empty when it may simply go through. Raises `CircuitOpen`."""
    if _is_set_aside:
        return ""
    known, now = _known.get(name), time.monotonic()
    if known is not None and now < known.fresh_until:
        if known.is_closed:
            return ""
        if known.is_probed or now < known.tried_at:
            raise CircuitOpen(name, rules.put_off_seconds(max(0.0, known.tried_at - now)))
    token = secrets.token_hex(8)
    try:
        seen = server.enter(name, rules, token=token)
    except BrokerUnavailable as error:
        _note_away(name, error)
        return ""
    note(seen)
    if seen.may == "wait":
        raise CircuitOpen(name, rules.put_off_seconds(seen.wait_seconds))
    return token if seen.may == "probe" else ""


def report(step: Callable[..., Seen], name: str, rules: Rules, *, token: str) -> None:
    """Take a step that needs no answer; while Redis is away nobody hears of it."""
    if _is_set_aside:
        return
    try:
        note(step(name, rules, token=token))
    except BrokerUnavailable as error:
        _note_away(name, error)


def note(seen: Seen) -> None:
    """Remember what a step answered, and tell of a change."""
    global _is_away
    now = time.monotonic()
    if _is_away:
        _is_away = False
        logger.info("circuits are asked for again", extra={"circuit": seen.name})
    _remember(seen.name, _known_of(seen, now))
    if seen.phase != seen.before:
        level = logging.WARNING if seen.phase == "open" else logging.INFO
        facts = {"circuit": seen.name, "phase": seen.phase}
        logger.log(level, "the circuit %s is %s", seen.name, seen.phase, extra=facts)
        circuit_changed.send_robust(seen.name, before=seen.before, after=seen.phase)


def _note_away(name: str, error: BrokerUnavailable) -> None:
    """Let calls go through for a moment without asking: each would wait for Redis."""
    global _is_away
    now = time.monotonic()
    _remember(name, _Known(True, False, now + _FRESH_SECONDS, now))
    if not _is_away:
        _is_away = True
        logger.error("circuits cannot be asked for, and calls go through: %s", error, extra={"circuit": name})


def _known_of(seen: Seen, now: float) -> _Known:
    is_probed = seen.phase == "half-open" and bool(seen.probe)
    return _Known(seen.phase == "closed", is_probed, now + _FRESH_SECONDS, now + seen.wait_seconds)


def _remember(name: str, known: _Known) -> None:
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[name] = known


@contextmanager
def set_aside() -> Iterator[None]:
    """Let every call of this process through for the length of a block, and count none. For tests without a server
    of their own: what fails in them must not open a circuit of somebody who works.
    """
    global _is_set_aside
    before, _is_set_aside = _is_set_aside, True
    try:
        yield
    finally:
        _is_set_aside = before


def forget() -> None:
    """Forget what this process knows, so that the next call asks. For tests."""
    global _is_away
    _is_away = False
    _known.clear()

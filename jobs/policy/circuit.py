"""When a circuit opens, who may probe it, and when it closes. Reads no clock and asks no server.

`broker/scripts/circuit.lua` takes the same steps where all processes meet; a test holds the two against each other.

1. Closed. Calls go through. Failures are kept for as long as the window is; as many as `Rules.failures` open it.
2. Open, until a moment. No call goes through.
3. Half-open, from then on. One caller is the probe; the others wait. A probe that dies is followed by another one.
4. Its success closes the circuit; its failure opens it again.

A person may hold it open or closed meanwhile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from jobs.errors import (
    BadOptions,
    DiscardJob,
    HandBackJob,
    JobsError,
    JobTimedOut,
    PutOffJob,
    RetryLater,
)

Phase = Literal["closed", "open", "half-open"]
Admission = Literal["go", "probe", "wait"]
# What an error says of the one that was called: that it failed, that it answered, or nothing.
Says = Literal["failure", "answer", "nothing"]
Errors = tuple[type[BaseException], ...]

LONGEST_NAME = 200
_MOST_FAILURES = 1000
_LONGEST_SECONDS = 86_400.0
# What waits for a circuit asks again after this share of the time that it stays open, and no sooner.
_SHORTEST_SHARE = 1 / 6

_ON_PURPOSE = (DiscardJob, RetryLater, PutOffJob, HandBackJob, JobsError)
# Of our own files, not of somebody else's server, though they are `OSError`s too.
_OWN_FILES = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_OWN_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Rules:
    """So many `failures` `within` seconds open it, for `open_for` seconds.

    `counts` are the errors that are failures, None for the usual ones; `ignores` are never: they are answers.
    Raises `BadOptions` for what cannot be.
    """

    failures: int = 5
    within: float = 60.0
    open_for: float = 30.0
    counts: Errors | None = None
    ignores: Errors = ()

    def __post_init__(self) -> None:
        is_number = isinstance(self.failures, int) and not isinstance(self.failures, bool)
        if not is_number or not 1 <= self.failures <= _MOST_FAILURES:
            raise BadOptions(f"failures={self.failures!r}: pass a whole number from 1 to {_MOST_FAILURES}")
        _check_seconds("within", self.within)
        _check_seconds("open_for", self.open_for)
        _check_errors("counts", self.counts or ())
        _check_errors("ignores", self.ignores)
        if self.counts == ():
            raise BadOptions("counts=(): a circuit that counts nothing never opens; leave it out, or name a class")

    def says(self, error: BaseException) -> Says:
        """What this error tells of the one that was called."""
        if isinstance(error, self.ignores):
            return "answer"
        if self.counts is not None:
            return "failure" if isinstance(error, self.counts) else "nothing"
        return "failure" if _is_somebody_elses(error) else "nothing"

    def put_off_seconds(self, remaining: float) -> float:
        """How long a run waits that may not go through for `remaining` seconds."""
        return max(remaining, self.open_for * _SHORTEST_SHARE)


@dataclass(frozen=True)
class State:
    """What is known of one circuit. Times are numbers of one clock.

    `until` is when an open circuit may be probed, and of a half-open one when its probe's life ends. `held` says that
    a person holds it in its phase, to `held_until`. `failures` are those of the window, oldest first.
    """

    phase: Phase = "closed"
    since: float = 0.0
    until: float = 0.0
    probe: str = ""
    failures: tuple[float, ...] = ()
    held: bool = False
    held_until: float = math.inf


def released(state: State, now: float) -> State:
    """The state once a hold that has ended is let go: an open circuit may be probed, a closed one counts anew."""
    if not state.held or now < state.held_until:
        return state
    if state.phase == "open":
        return replace(state, held=False, held_until=math.inf, until=state.held_until)
    return State(since=state.since)


def enter(state: State, *, token: str, now: float, probe_life: float) -> tuple[State, Admission]:
    """Whether a call may go through; `token` is the caller's, new each time."""
    state = released(state, now)
    if state.phase == "closed":
        return state, "go"
    if state.held or (now < state.until and (state.phase == "open" or state.probe)):
        return state, "wait"
    since = state.since if state.phase == "half-open" else now
    return State("half-open", since=since, until=now + probe_life, probe=token), "probe"


def succeed(state: State, *, token: str, now: float) -> State:
    """What follows when a call came through: the probe's closes the circuit."""
    state = released(state, now)
    return State(since=now) if _is_probe(state, token) else state


def fail(state: State, *, token: str, now: float, failures: int, within: float, open_for: float) -> State:
    """What follows when a call failed. One that began before the circuit opened changes nothing any more."""
    state = released(state, now)
    if _is_probe(state, token):
        return State("open", since=now, until=now + open_for)
    if state.held or state.phase != "closed":
        return state
    recent = (*(at for at in state.failures if at > now - within), now)
    if len(recent) >= failures:
        return State("open", since=now, until=now + open_for)
    return replace(state, failures=recent)


def give_back(state: State, *, token: str, now: float) -> State:
    """What follows when a call said nothing of the one that was called: the next caller is the probe."""
    state = released(state, now)
    return replace(state, probe="", until=now) if _is_probe(state, token) else state


def renew(state: State, *, token: str, now: float, probe_life: float) -> State:
    """The probe lives on."""
    return replace(state, until=now + probe_life) if _is_probe(state, token) else state


def hold_open(state: State, *, now: float, until: float = math.inf) -> State:
    """A person opens it: no call goes through, and none is a probe, until then."""
    return State("open", since=now, held=True, held_until=until)


def close(state: State, *, now: float, held_until: float | None = None) -> State:
    """A person closes it: for good measure only, or whatever fails until then."""
    return State(since=now) if held_until is None else State(since=now, held=True, held_until=held_until)


def check_name(name: object, *, of: str = "circuit") -> str:
    """Raises `BadOptions` for what is no short, printable text."""
    if not isinstance(name, str) or not is_name(name):
        raise BadOptions(f"{of} {name!r}: a name is a printable text of 1 to {LONGEST_NAME} characters")
    return name


def is_name(text: str) -> bool:
    """Whether it is a short, printable text."""
    return 0 < len(text) <= LONGEST_NAME and text.isprintable() and text == text.strip()


def _is_probe(state: State, token: str) -> bool:
    return state.phase == "half-open" and state.probe == token != ""


def _is_somebody_elses(error: BaseException) -> bool:
    """Whether an error tells of a failure outside, as far as its class tells: what is unknown does."""
    if isinstance(error, _ON_PURPOSE + _OWN_FILES) or _is_djangos(error):
        return False
    # An answer that is no JSON is a `ValueError`, and with some clients an `OSError` too.
    if isinstance(error, OSError | JobTimedOut):
        return True
    return isinstance(error, Exception) and not isinstance(error, _OWN_FAULTS)


def _is_djangos(error: BaseException) -> bool:
    """A row that is missing, a form that is not valid, the database: nothing of somebody else's server."""
    return any(one.__module__.partition(".")[0] == "django" for one in type(error).__mro__)


def _check_seconds(word: str, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST_SECONDS:
        raise BadOptions(f"{word}={seconds!r}: pass seconds above 0, up to {_LONGEST_SECONDS:.0f} (a day)")


def _check_errors(word: str, errors: object) -> None:
    if not isinstance(errors, tuple) or not all(
        isinstance(one, type) and issubclass(one, BaseException) for one in errors
    ):
        raise BadOptions(f"{word}={errors!r}: pass exception classes, such as (ConnectionError, TimeoutError)")

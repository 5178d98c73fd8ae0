"""Circuits where all processes meet: each step is one script call, on the server's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.broker import keys, lua
from jobs.broker.connection import client, errors_named
from jobs.broker.lua import Call
from jobs.policy.circuit import Admission, Phase, Rules

# A probe is renewed while its process lives; of one that died the next is let in so soon.
PROBE_LIFE_SECONDS = 15.0
# More than anybody looks at.
_LISTED_MOST = 500
_NO_HOLD = ("0", "", "")


@dataclass(frozen=True)
class Seen:
    """A circuit as a step left it. Times are seconds since 1970 by the server's clock, 0 for none.

    `until` is when an open circuit may be probed, or when the probe's life ends; `held` that a person, `held_by`, for
    `reason`, holds it in its phase, until `held_until`, or without end when that is None.
    """

    name: str
    may: Admission
    before: Phase
    phase: Phase
    since: float
    until: float
    probe: str
    failures: int
    held: bool
    held_until: float | None
    held_by: str
    reason: str
    now: float

    @property
    def wait_seconds(self) -> float:
        """How long until it may be tried, as far as is known: a probe that lives may end at any moment."""
        if self.phase == "half-open":
            return 0.0
        until = self.held_until if self.held else self.until
        return max(0.0, (until or 0.0) - self.now)


def enter(name: str, rules: Rules, *, token: str) -> Seen:
    """Ask to go through. Raises `BrokerUnavailable`, as all of these do."""
    return _step("enter", name, rules, token)


def succeed(name: str, rules: Rules, *, token: str) -> Seen:
    """Say that the probe `token` came through."""
    return _step("success", name, rules, token)


def fail(name: str, rules: Rules, *, token: str) -> Seen:
    """Say that a call failed: the probe `token`, or another one under a new token."""
    return _step("failure", name, rules, token)


def give_back(name: str, rules: Rules, *, token: str) -> Seen:
    """Say that the probe `token` has ended, and that nothing can be said of the one that was called."""
    return _step("back", name, rules, token)


def renewal(name: str, rules: Rules, *, token: str) -> Call:
    """The call by which a probe lives on."""
    return "circuit", _arguments("renew", name, rules, token)


def is_probe(answer: Any, token: str) -> bool:
    """Whether the answer of `renewal` says that `token` is the probe."""
    return _text(answer[5]) == token


def hold_open(name: str, rules: Rules, *, seconds: float | None, by: str, reason: str) -> Seen:
    """Open it, for so many seconds, or None without end."""
    return _step("open", name, rules, "", hold=(_milliseconds(seconds), by, reason))


def close(name: str, rules: Rules, *, held_seconds: float | None, by: str, reason: str) -> Seen:
    """Close it; for so many seconds whatever fails, or None to let it go on by itself."""
    held = "0" if held_seconds is None else _milliseconds(held_seconds)
    return _step("close", name, rules, "", hold=(held, by, reason))


def look(names: Sequence[str], rules: Sequence[Rules]) -> list[Seen]:
    """These circuits as they are. Changes nothing."""
    calls: list[Call] = [
        ("circuit", _arguments("look", name, each, "")) for name, each in zip(names, rules, strict=True)
    ]
    answers = lua.run_all(calls) if calls else []
    return [_seen(name, answer) for name, answer in zip(names, answers, strict=True)]


def names() -> list[str]:
    """The circuits that were used of late, in no order."""
    with errors_named():
        found = client().zrevrange(keys.CIRCUITS, 0, _LISTED_MOST - 1)
    return [name.decode(errors="replace") for name in found]


def _step(what: str, name: str, rules: Rules, token: str, *, hold: Sequence[str] = _NO_HOLD) -> Seen:
    return _seen(name, lua.run("circuit", [*_arguments(what, name, rules, token), *hold]))


def _arguments(what: str, name: str, rules: Rules, token: str, *, now: str = "") -> list[Any]:
    spans = (rules.within, rules.open_for, PROBE_LIFE_SECONDS)
    within, open_for, probe_life = (_milliseconds(seconds) for seconds in spans)
    return [what, name, now, token, rules.failures, within, open_for, probe_life]


def _milliseconds(seconds: float | None) -> str:
    return "-1" if seconds is None else str(max(1, round(seconds * 1000)))


def _seen(name: str, answer: Sequence[Any]) -> Seen:
    may, before, phase, probe, by, reason = (_text(answer[at]) for at in (0, 1, 2, 5, 9, 10))
    held = int(answer[7])
    return Seen(
        name=name,
        may=may,  # type: ignore[arg-type]  # The script says one of these.
        before=before,  # type: ignore[arg-type]
        phase=phase,  # type: ignore[arg-type]
        since=answer[3] / 1000,
        until=answer[4] / 1000,
        probe=probe,
        failures=int(answer[6]),
        held=held != 0,
        held_until=held / 1000 if held > 0 else None,
        held_by=by,
        reason=reason,
        now=answer[8] / 1000,
    )


def _text(answer: bytes) -> str:
    return answer.decode(errors="replace")

"""How a partner behaves when it is asked for work: healthy, or broken in one chosen way. Opens no port."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

MODES = {
    "ok": "Works.",
    "decline": "Declines every card.",
    "down": "Hangs up and does nothing.",
    "timeout_before": "Never answers and does nothing.",
    "timeout_after": "Does the work, then never answers.",
    "rate_limit": "Answers 429 and asks to come back later.",
    "rate_limit_date": "Answers 429 and says from when to come back.",
    "error": "Answers that it is broken.",
    "slow": "Does the work and answers late.",
    "webhook_twice": "Works, and sends each event twice.",
    "webhook_disorder": "Works, and sends the latest event first.",
    "webhook_malformed": "Works, and sends events that are cut off.",
}

FAULTS = ("down", "timeout_before", "timeout_after", "rate_limit", "rate_limit_date", "error", "slow")
WEBHOOK_FAULTS = ("webhook_twice", "webhook_disorder", "webhook_malformed")
GATEWAY_MODES = ("ok", "decline", *FAULTS, *WEBHOOK_FAULTS)
WAREHOUSE_MODES = LISTS_MODES = ("ok", *FAULTS)
MAILBOX_MODES = ("ok", "error", "slow")


class BadMode(ValueError):
    """The mode asked for makes no sense for this partner."""


@dataclass(frozen=True)
class Mode:
    """One behaviour, for the next `times` requests for work (None: until told otherwise).

    `seconds` is how late `slow` answers and what `rate_limit` asks to wait; 2 unless given.
    For the time-outs it is how long the caller is held before the connection drops; unless given,
    until the caller gives up.
    """

    name: str = "ok"
    seconds: float | None = None
    times: int | None = None

    @property
    def delay_seconds(self) -> float:
        return 2.0 if self.seconds is None else self.seconds

    @property
    def in_words(self) -> str:
        """
        >>> Mode("slow", seconds=1.5, times=2).in_words
        'slow, 1.5 s, for 2 more requests'
        """
        seconds = "" if self.seconds is None else f", {self.seconds:g} s"
        plural = "" if self.times == 1 else "s"
        times = "" if self.times is None else f", for {self.times} more request{plural}"
        return f"{self.name}{seconds}{times}"

    def as_dict(self) -> dict[str, Any]:
        return {"mode": self.name, "seconds": self.seconds, "times": self.times}


def read_mode(data: Mapping[str, Any], *, allowed: tuple[str, ...]) -> Mode:
    """The mode that `{"mode", "seconds", "times"}` describes. Refused with `BadMode`.

    >>> read_mode({"mode": "slow", "seconds": 3}, allowed=("ok", "slow"))
    Mode(name='slow', seconds=3.0, times=None)
    """
    name = data.get("mode")
    if name not in allowed:
        raise BadMode(_unknown(str(name), allowed))
    return Mode(name, _seconds(data.get("seconds")), _times(data.get("times")))


class ModeSwitch:
    """The mode a partner is in, counted down under a lock. Starts healthy with every start of the partner."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mode = Mode()

    @property
    def mode(self) -> Mode:
        return self._mode

    def set(self, mode: Mode) -> None:
        with self._lock:
            self._mode = mode

    def take(self) -> Mode:
        """The mode for one request for work; the last of `times` puts the switch back to `ok`."""
        with self._lock:
            taken = self._mode
            self._mode = _after_one_request(taken)
        return taken


def _after_one_request(mode: Mode) -> Mode:
    if mode.times is None:
        return mode
    return replace(mode, times=mode.times - 1) if mode.times > 1 else Mode()


def _unknown(name: str, allowed: tuple[str, ...]) -> str:
    close = get_close_matches(name, allowed, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no mode {name!r} here.{meant} Choose one of: {', '.join(allowed)}."


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3600:
        raise BadMode("`seconds` must be a number from 0 to 3600, or null.")
    return float(value)


def _times(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadMode("`times` must be a whole number from 1, or null for until told otherwise.")
    return value

"""What `JOBS["ALERTS"]` may say, as a value. Reads no settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from jobs.errors import did_you_mean
from jobs.policy.alert_rules import KINDS, SEVERITIES, Change, Changes, key_of

# Rules are looked at no more often: what is found must be stored before the next look.
_SHORTEST_SECONDS = 1.0
_LONGEST_SECONDS = 300.0
_SECRET = ("WEBHOOK", "HEARTBEAT_URL")


@dataclass(frozen=True)
class Choices:
    """Who is told, by which channels, and how often the rules are looked at. Times are seconds, unless they say hours.

    `hook` is the dotted name of a function; `site_url` is what links in messages begin with; `heartbeat_url` is asked
    after each look that went well.
    """

    on: bool = True
    every: float = 30.0
    remind_hours: float = 4.0
    mail: tuple[str, ...] = ()
    webhook: str = ""
    log: bool = True
    hook: str = ""
    site_url: str = ""
    heartbeat_url: str = ""
    rules: Changes = field(default_factory=dict)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that this deployment has."""
        there = {"log": self.log, "mail": self.mail, "webhook": self.webhook, "hook": self.hook}
        return tuple(name for name, is_there in there.items() if is_there)


KEYS = {
    "ON": "on",
    "EVERY_SECONDS": "every",
    "REMIND_HOURS": "remind_hours",
    "MAIL": "mail",
    "WEBHOOK": "webhook",
    "LOG": "log",
    "HOOK": "hook",
    "SITE_URL": "site_url",
    "HEARTBEAT_URL": "heartbeat_url",
    "RULES": "rules",
}
WORDS = f"a dict with some of the keys {', '.join(KEYS)}, as docs/alerts.md has them"
_RULE_KEYS = ("limit", "for_seconds", "severity", "is_on")


def read(told: Mapping[str, Any]) -> Choices:
    """The choices that a dict of settings says. Raises ValueError for what cannot be, with the cure."""
    said: dict[str, Any] = {}
    for key, value in told.items():
        if key not in KEYS:
            raise ValueError(f'ALERTS has an unknown key "{key}".{did_you_mean(str(key), KEYS)}')
        said[KEYS[key]] = _value(key, value)
    return Choices(**said)


def fits(told: Any) -> bool:
    """Whether it is a dict that `read` takes."""
    try:
        read(told)
    except (ValueError, AttributeError):
        return False
    return True


def _value(key: str, value: Any) -> Any:
    if key in ("ON", "LOG"):
        return _checked(value, isinstance(value, bool), key, "True or False")
    if key == "EVERY_SECONDS":
        is_right = _is_number(value) and _SHORTEST_SECONDS <= value <= _LONGEST_SECONDS
        return _checked(value, is_right, key, f"seconds from {_SHORTEST_SECONDS:g} to {_LONGEST_SECONDS:g}")
    if key == "REMIND_HOURS":
        return _checked(value, _is_number(value) and value > 0, key, "a number of hours above 0")
    if key == "MAIL":
        is_right = isinstance(value, list | tuple) and all(isinstance(one, str) and "@" in one for one in value)
        return tuple(_checked(value, is_right, key, "a list of addresses"))
    if key == "RULES":
        return _rules(_checked(value, isinstance(value, dict), key, "a dict of rules"))
    if key == "HOOK":
        return _checked(value, isinstance(value, str), key, "the dotted name of a function")
    return _checked(value, _is_address(value), key, "an address that begins with http:// or https://")


def _is_address(value: Any) -> bool:
    if not isinstance(value, str) or not value:
        return value == ""
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and _is_word(value)
    except ValueError:
        return False


def _is_word(text: str) -> bool:
    # A line end that a file with the secret ends with is cut off by who asks.
    return all(letter.isprintable() and letter != " " for letter in text.strip())


def _checked(value: Any, is_right: bool, key: str, words: str) -> Any:
    if not is_right:
        # Whoever has the address of a webhook may write to it.
        shown = "no such thing" if key in _SECRET else repr(value)
        raise ValueError(f'ALERTS["{key}"] is {shown}, and must be {words}.')
    return value


def _rules(told: Mapping[str, Any]) -> Changes:
    return {key_of(name): _change(name, change) for name, change in told.items()}


def _change(name: str, told: Any) -> Change:
    if not isinstance(told, dict) or not told.keys() <= set(_RULE_KEYS):
        raise ValueError(f'ALERTS["RULES"]["{name}"] is {told!r}, and must be a dict with {", ".join(_RULE_KEYS)}.')
    change = Change(**told)
    if problem := problem_with(key_of(name)[0], change):
        raise ValueError(f'ALERTS["RULES"]["{name}"]: {problem}.')
    return change


def problem_with(kind: str, change: Change) -> str:
    """Why a rule cannot be like that; empty where it can."""
    if change.limit is not None and KINDS[kind].unit == "fact":
        return f'the rule "{kind}" has no limit: it is so or it is not. Change for how long, or switch it off'
    if change.limit is not None and not (_is_number(change.limit) and 0 <= change.limit <= 1e12):
        return f"limit={change.limit!r}: pass a number from 0"
    if change.for_seconds is not None and not (_is_number(change.for_seconds) and 0 <= change.for_seconds <= 86_400):
        return f"for_seconds={change.for_seconds!r}: pass seconds from 0 to 86,400 (a day)"
    if change.severity is not None and change.severity not in SEVERITIES:
        return f"severity={change.severity!r}: pass {' or '.join(SEVERITIES)}"
    if change.is_on is not None and not isinstance(change.is_on, bool):
        return f"is_on={change.is_on!r}: pass True or False"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

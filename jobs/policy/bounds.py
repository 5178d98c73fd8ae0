"""What a run is bound by beside the number of its attempts, as its hash keeps it. Reads no clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from jobs.policy.retry import GiveUp, Standing
from jobs.policy.storable import LARGEST, LATEST_MS

# No job has so many rules; a damaged hash may.
_MOST_RULES = 100


@dataclass(frozen=True)
class Bounds:
    """All in milliseconds of the server's clock, 0 for none: `expires_ms` is when the run may no longer start,
    `since_ms` when it was first due. `failures` counts those that came under a rule, by its name.
    """

    expires_ms: int = 0
    since_ms: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)

    def is_over(self, *, now_ms: int) -> bool:
        """Whether the run may no longer start."""
        return 0 < self.expires_ms < now_ms

    def standing(self, *, now_ms: int, first_due_ms: int, expired: GiveUp) -> Standing:
        """How the run stands now; `first_due_ms` is when it was, where nobody noted it before."""
        left = {"left": max(0, self.expires_ms - now_ms) / 1000} if self.expires_ms else {}
        age = max(0, now_ms - (self.since_ms or first_due_ms)) / 1000
        return Standing(age=age, expired=expired, failures=self.failures, **left)

    def since(self, first_due_ms: int) -> Bounds:
        """The same, first due then unless it was before."""
        return self if self.since_ms else replace(self, since_ms=first_due_ms)

    def failed(self, rule: str) -> Bounds:
        """The same after one more failure under a rule."""
        return replace(self, failures={**self.failures, rule: self.failures.get(rule, 0) + 1})

    def after(self, milliseconds: int) -> Bounds:
        """The same as if so much time had passed."""
        expires_ms, since_ms = (max(1, at - milliseconds) if at else 0 for at in (self.expires_ms, self.since_ms))
        return replace(self, expires_ms=expires_ms, since_ms=since_ms)

    def dump(self) -> str:
        """As the run's hash keeps it."""
        facts = {"expires": self.expires_ms, "since": self.since_ms, "failures": self.failures}
        return json.dumps({key: value for key, value in facts.items() if value}, separators=(",", ":"))


NONE = Bounds()


def read(text: str) -> Bounds:
    """What a run's hash says; nothing where it is damaged.

    >>> read('{"expires":1795313931000,"failures":{"shop.Busy":2}}')
    Bounds(expires_ms=1795313931000, since_ms=0, failures={'shop.Busy': 2})
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return NONE
    if not isinstance(told, dict):
        return NONE
    failures = told.get("failures")
    pairs = list(failures.items())[:_MOST_RULES] if isinstance(failures, dict) else []
    return Bounds(
        _whole(told.get("expires"), LATEST_MS),
        _whole(told.get("since"), LATEST_MS),
        {rule: _whole(count, LARGEST) for rule, count in pairs},
    )


def _whole(value: object, most: int) -> int:
    return min(max(0, value), most) if type(value) is int else 0

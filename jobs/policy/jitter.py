"""How waits are spread, so that what failed together does not come back together. Draws no dice."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jobs.errors import BadOptions


@dataclass(frozen=True, repr=False)
class Jitter:
    """A wait becomes one between `low` and `high` times as long, each as likely as the other."""

    low: float
    high: float
    name: str

    def spread(self, seconds: float, *, roll: float) -> float:
        """The wait for a random number from 0 to 1."""
        return seconds * (self.low + (self.high - self.low) * roll)

    def not_before(self, seconds: float, *, roll: float) -> float:
        """The same for a wait that somebody asked for: as wide, and never shorter."""
        return seconds * (1 + (self.high - self.low) * roll)

    def __repr__(self) -> str:
        return self.name

    def __str__(self) -> str:
        """In words.

        >>> [str(one) for one in (NONE, FULL, EQUAL, on_top(0.1))]
        ['none', '0% to 100% of the wait', '50% to 100% of the wait', '100% to 110% of the wait']
        """
        return "none" if self.low == self.high == 1 else f"{100 * self.low:.4g}% to {100 * self.high:.4g}% of the wait"


# Each wait as it is.
NONE = Jitter(1.0, 1.0, "jitter.NONE")
# Anything up to the wait: spreads the most.
FULL = Jitter(0.0, 1.0, "jitter.FULL")
# Half of the wait, and up to half of it at random.
EQUAL = Jitter(0.5, 1.0, "jitter.EQUAL")


def on_top(share: float) -> Jitter:
    """The wait, and up to this share of it more; what a number as `jitter` means.

    >>> on_top(0.1).spread(60, roll=0.5)
    63.0
    """
    return Jitter(1.0, 1 + _share(share), f"jitter.on_top({share:.12g})")


def around(share: float) -> Jitter:
    """Up to this share of the wait less, or more.

    >>> [around(0.5).spread(60, roll=roll) for roll in (0, 0.5, 1)]
    [30.0, 60.0, 90.0]
    """
    return Jitter(1 - _share(share), 1 + share, f"jitter.around({share:.12g})")


def of(given: float | Jitter) -> Jitter:
    """What a policy was given as its jitter. Raises `BadOptions` for what is none."""
    return given if isinstance(given, Jitter) else on_top(given)


def _share(share: float) -> float:
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not is_number or math.isnan(share) or not 0 <= share <= 1:
        raise BadOptions(
            f"jitter={share!r}: pass a share of the wait from 0 to 1, or one of jitter.NONE, jitter.FULL, "
            "jitter.EQUAL, jitter.around(share)"
        )
    return float(share)

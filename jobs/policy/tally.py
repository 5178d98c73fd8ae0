"""What a verb on many did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """How many are done, and how many were left alone and why."""

    done: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count what another one counted."""
        self.done += other.done
        self.left += other.left

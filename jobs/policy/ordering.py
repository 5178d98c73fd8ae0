"""In which order a worker looks into its queues. Draws no dice: they are passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def weighted(weights: Mapping[str, int], roll: Callable[[], float]) -> list[str]:
    """The queues in an order by chance: of those not yet placed, each comes next as often as its weight says.

    `roll` gives a new random number from 0 to 1 with each call; `weights` are above 0. Every queue is in the order,
    so none waits while the others are empty.

    >>> weighted({"critical": 6, "low": 1}, iter([0.5, 0.5]).__next__)
    ['critical', 'low']
    >>> weighted({"critical": 6, "low": 1}, iter([0.1, 0.9]).__next__)
    ['low', 'critical']
    """
    # Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
    marks = {queue: roll() ** (1 / weight) for queue, weight in weights.items()}
    return sorted(marks, key=marks.__getitem__, reverse=True)

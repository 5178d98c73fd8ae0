"""A run's life on one bar: where it waited, where an attempt ran, and where it lay dead. Draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal["waited", "ran", "dead"]
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Stretch:
    """A part of the bar, in its units."""

    kind: Kind
    x: float
    width: float


@dataclass(frozen=True)
class Lifeline:
    """The bar, and how long all its waiting, running and lying dead were."""

    stretches: tuple[Stretch, ...]
    waited: timedelta
    ran: timedelta
    dead: timedelta


def lifeline(
    asked_at: datetime,
    ends_at: datetime,
    attempts: Sequence[Span],
    dead: Sequence[Span] = (),
    *,
    width: float,
    least: float,
) -> Lifeline | None:
    """The life from `asked_at` to `ends_at` as a bar of `width`; None where it took no time.

    Where it neither ran nor was dead it waited. These are at least `least` wide: what ran shows, however short it was
    beside its wait.
    """
    total = (ends_at - asked_at).total_seconds()
    if total <= 0:
        return None
    spent: dict[Kind, timedelta] = {"ran": timedelta(0), "dead": timedelta(0)}
    stretches: list[Stretch] = []
    at, x = asked_at, 0.0
    kinds: list[tuple[datetime, datetime, Kind]] = [
        *((began, ended, "ran") for began, ended in attempts),
        *((began, ended, "dead") for began, ended in dead),
    ]
    for began, ended, kind in sorted(kinds):
        began, ended = max(began, at), min(max(ended, began), ends_at)
        if began >= ends_at or ended < began:
            continue
        left = max(x, min(width - least, width * (began - asked_at).total_seconds() / total))
        right = min(width, max(left + least, width * (ended - asked_at).total_seconds() / total))
        if left > x:
            stretches.append(Stretch("waited", x=round(x, 2), width=round(left - x, 2)))
        stretches.append(Stretch(kind, x=round(left, 2), width=round(right - left, 2)))
        spent[kind] += ended - began
        at, x = ended, right
    if x < width:
        stretches.append(Stretch("waited", x=round(x, 2), width=round(width - x, 2)))
    waited = ends_at - asked_at - spent["ran"] - spent["dead"]
    return Lifeline(tuple(stretches), waited, spent["ran"], spent["dead"])

"""What follows of a look at all rules: which incidents open, go on or close, and of which it is told.

Reads no clock and sends nothing. A kind without readings could not be looked at: its incidents stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from jobs.policy.alert_rules import Key, Rule, Rulebook

# So many looks in a row must find it under its limit: what sways around the limit is one incident, not many.
CALM_LOOKS = 3
# Of one kind at once. Beyond that people need no more messages, but to look.
MOST_OF_A_KIND = 50

Tell = Literal["", "opened", "reminder"]


@dataclass(frozen=True)
class Reading:
    """A value as it was found, what is to be said of it beside the number, and since when it is so, where known."""

    value: float
    words: str = ""
    since: datetime | None = None


Readings = Mapping[str, Mapping[str, Reading]]


@dataclass(frozen=True)
class Open:
    """An incident as it was after the last look. `told_at` is when it was last told of."""

    kind: str
    scope: str
    value: float
    worst: float
    calm: int = 0
    told_at: datetime | None = None
    is_acknowledged: bool = False
    silenced_until: datetime | None = None

    @property
    def key(self) -> Key:
        return self.kind, self.scope


@dataclass(frozen=True)
class Opening:
    """An incident to open: its limit has been passed since then."""

    rule: Rule
    reading: Reading
    since: datetime
    tell: Tell


@dataclass(frozen=True)
class Keeping:
    """An incident that stays open, and what is new of it."""

    incident: Open
    rule: Rule
    reading: Reading | None
    worst: float
    calm: int
    tell: Tell


@dataclass(frozen=True)
class Closing:
    """An incident to close. It is told of where its opening was."""

    incident: Open
    why: str
    tells: bool


@dataclass(frozen=True)
class Decision:
    """What follows. `passed` is since when limits are passed that have not been for long enough."""

    opens: Sequence[Opening] = ()
    keeps: Sequence[Keeping] = ()
    closes: Sequence[Closing] = ()
    passed: Mapping[Key, datetime] = field(default_factory=dict)
    left_out: int = 0


def decide(
    readings: Readings,
    book: Rulebook,
    incidents: Iterable[Open],
    *,
    passed: Mapping[Key, datetime],
    now: datetime,
    remind: timedelta,
) -> Decision:
    """What follows of these readings. `passed` is that of the decision before."""
    there = {one.key: one for one in incidents}
    followed = [_follow(one, book, readings, now, remind) for one in there.values()]
    new = [each for each in _passed(readings, book, now, passed) if each.key not in there]
    ripe = [each for each in new if now - each.since >= timedelta(seconds=each.rule.for_seconds)]
    opens = list(_fitting(ripe, there.values(), now))
    opened = {(each.rule.kind, each.rule.scope) for each in opens}
    unknown = {key: since for key, since in passed.items() if key[0] not in readings and key not in there}
    return Decision(
        opens=opens,
        keeps=[each for each in followed if isinstance(each, Keeping)],
        closes=[each for each in followed if isinstance(each, Closing)],
        passed=unknown | {each.key: each.since for each in new if each.key not in opened},
        left_out=len(ripe) - len(opens),
    )


@dataclass(frozen=True)
class _Passed:
    rule: Rule
    reading: Reading
    since: datetime

    @property
    def key(self) -> Key:
        return self.rule.kind, self.rule.scope


def _passed(readings: Readings, book: Rulebook, now: datetime, before: Mapping[Key, datetime]) -> Iterator[_Passed]:
    for kind, by_scope in readings.items():
        for scope, reading in by_scope.items():
            rule = book.of(kind, scope)
            if rule.is_on and reading.value > rule.limit:
                # A clock that was set back must not make it wait for longer.
                yield _Passed(rule, reading, min(now, before.get((kind, scope), now)))


def _fitting(ripe: Sequence[_Passed], there: Iterable[Open], now: datetime) -> Iterator[Opening]:
    """As many as may be open of each kind, those that are furthest above their limit first."""
    counts: dict[str, int] = {}
    for one in there:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    for each in sorted(ripe, key=lambda each: each.rule.limit - each.reading.value):
        counts[each.rule.kind] = counts.get(each.rule.kind, 0) + 1
        if counts[each.rule.kind] <= MOST_OF_A_KIND:
            since = each.reading.since or each.since
            yield Opening(each.rule, each.reading, since, "" if _is_silent(each.rule, None, now) else "opened")


def _follow(one: Open, book: Rulebook, readings: Readings, now: datetime, remind: timedelta) -> Keeping | Closing:
    rule = book.of(one.kind, one.scope)
    tells = one.told_at is not None and not _is_silent(rule, one, now)
    if not rule.is_on:
        return Closing(one, "its rule was switched off", tells)
    by_scope = readings.get(one.kind)
    if by_scope is None:
        return Keeping(one, rule, None, one.worst, one.calm, _tell(one, rule, now, remind))
    reading = by_scope.get(one.scope)
    if reading is not None and reading.value > rule.limit:
        worst = max(one.worst, reading.value)
        return Keeping(one, rule, reading, worst, 0, _tell(one, rule, now, remind))
    if one.calm + 1 >= CALM_LOOKS:
        return Closing(one, "it is within its limit again", tells)
    return Keeping(one, rule, reading, one.worst, one.calm + 1, "")


def _tell(one: Open, rule: Rule, now: datetime, remind: timedelta) -> Tell:
    if one.is_acknowledged or _is_silent(rule, one, now):
        return ""
    if one.told_at is None:
        return "opened"
    return "reminder" if now - one.told_at >= remind else ""


def _is_silent(rule: Rule, one: Open | None, now: datetime) -> bool:
    until = [rule.silenced_until, one.silenced_until if one else None]
    return any(each is not None and now < each for each in until)

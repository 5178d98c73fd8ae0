"""What follows of readings: tables first, then what holds whatever comes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy.alert_rules import Change, Changes, Key, Rulebook
from jobs.policy.alerting import CALM_LOOKS, MOST_OF_A_KIND, Closing, Decision, Keeping, Open, Reading, Readings, decide

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
REMIND = timedelta(hours=4)
BOOK = Rulebook()
AT_ONCE = Rulebook((*BOOK.layers, {("waiting", ""): Change(for_seconds=0)}))
WAITS = Open("waiting", "critical", 150, 150, told_at=NOW - timedelta(minutes=5))


def of(value: float, scope: str = "critical", kind: str = "waiting") -> Readings:
    return {kind: {scope: Reading(value)}}


def after(
    readings: Readings,
    *incidents: Open,
    book: Rulebook = AT_ONCE,
    passed: dict[Key, datetime] | None = None,
    now: datetime = NOW,
) -> Decision:
    return decide(readings, book, incidents, passed=passed or {}, now=now, remind=REMIND)


@pytest.mark.parametrize(
    ("scope", "value", "opens"),
    [
        ("critical", 100, False),
        ("critical", 101, True),
        ("default", 1000, False),
        ("default", 1001, True),
        ("low", 5000, False),
        ("low", 5001, True),
        ("mailers", 1000, False),
        ("mailers", 1001, True),
    ],
)
def test_a_queue_over_its_limit_is_an_incident(scope: str, value: float, opens: bool) -> None:
    assert bool(after(of(value, scope)).opens) is opens


def test_a_limit_must_be_passed_for_long_enough() -> None:
    first = after(of(150), book=BOOK)
    assert not first.opens
    assert first.passed == {("waiting", "critical"): NOW}
    early = after(of(150), book=BOOK, passed=dict(first.passed), now=NOW + timedelta(seconds=59))
    assert not early.opens
    late = after(of(150), book=BOOK, passed=dict(early.passed), now=NOW + timedelta(seconds=60))
    assert [(each.since, each.tell) for each in late.opens] == [(NOW, "opened")]
    assert late.passed == {}


def test_a_moment_under_the_limit_begins_the_time_anew() -> None:
    assert after(of(50), book=BOOK, passed={("waiting", "critical"): NOW}).passed == {}


def test_what_cannot_be_looked_at_stays_as_it_is() -> None:
    decided = after({}, WAITS, book=BOOK, passed={("wait", "low"): NOW})
    assert [(each.calm, each.reading) for each in decided.keeps] == [(0, None)]
    assert decided.passed == {("wait", "low"): NOW}


def test_it_closes_after_so_many_looks_under_its_limit() -> None:
    one = WAITS
    for look in range(1, CALM_LOOKS):
        (kept,) = after(of(10), one).keeps
        assert (kept.calm, kept.tell) == (look, "")
        one = replace(one, calm=kept.calm)
    (closed,) = after({"waiting": {}}, one).closes
    assert closed.tells


def test_one_look_over_its_limit_begins_the_calm_anew() -> None:
    (kept,) = after(of(101), replace(WAITS, calm=CALM_LOOKS - 1)).keeps
    assert kept.calm == 0


def test_the_worst_is_kept() -> None:
    assert [each.worst for each in after(of(120), WAITS).keeps] == [150]
    assert [each.worst for each in after(of(180), WAITS).keeps] == [180]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"told_at": NOW - REMIND}, "reminder"),
        ({"told_at": NOW - REMIND, "is_acknowledged": True}, ""),
        ({"told_at": NOW - REMIND, "silenced_until": NOW + timedelta(seconds=1)}, ""),
        ({"told_at": NOW - REMIND, "silenced_until": NOW}, "reminder"),
        ({"told_at": None}, "opened"),
        ({"told_at": None, "is_acknowledged": True}, ""),
    ],
)
def test_who_is_reminded(change: dict[str, object], told: str) -> None:
    (kept,) = after(of(150), replace(WAITS, **change)).keeps  # type: ignore[arg-type]
    assert kept.tell == told


def test_a_silenced_rule_opens_and_tells_nobody_until_its_silence_ends() -> None:
    silenced = Rulebook((*AT_ONCE.layers, {("waiting", "critical"): Change(silenced_until=NOW + timedelta(hours=1))}))
    (opened,) = after(of(150), book=silenced).opens
    assert opened.tell == ""
    (kept,) = after(of(150), replace(WAITS, told_at=None), book=silenced, now=NOW + timedelta(hours=1)).keeps
    assert kept.tell == "opened"


def test_what_was_not_told_of_is_not_told_to_be_over() -> None:
    (closed,) = after(of(1), replace(WAITS, told_at=None, calm=CALM_LOOKS)).closes
    assert not closed.tells


def test_a_rule_that_is_switched_off_closes_its_incidents_at_once() -> None:
    off = Rulebook((*AT_ONCE.layers, {("waiting", ""): Change(is_on=False)}))
    decided = after(of(150), WAITS, book=off)
    assert [each.why for each in decided.closes] == ["its rule was switched off"]
    assert not after(of(150), book=off).opens


def test_what_is_said_of_one_scope_goes_before_what_is_said_of_all() -> None:
    edits: Changes = {("waiting", ""): Change(limit=10), ("waiting", "low"): Change(limit=7)}
    book = Rulebook((*BOOK.layers, edits))
    assert [book.of("waiting", one).limit for one in ("mailers", "low", "critical")] == [10, 7, 100]


def test_of_one_kind_no_more_are_open_than_anybody_would_read() -> None:
    readings = {"waiting": {f"q{number}": Reading(2000 + number) for number in range(MOST_OF_A_KIND + 5)}}
    decided = after(readings)
    assert (len(decided.opens), decided.left_out) == (MOST_OF_A_KIND, 5)
    assert min(each.reading.value for each in decided.opens) == 2005


class History:
    """What would stand in the rows, look after look."""

    def __init__(self) -> None:
        self.open: dict[Key, Open] = {}
        self.passed: dict[Key, datetime] = {}
        self.told: dict[Key, list[tuple[str, datetime]]] = {}
        self.opened = 0

    def look(self, readings: Readings, now: datetime) -> None:
        decided = decide(readings, BOOK, self.open.values(), passed=self.passed, now=now, remind=timedelta(minutes=10))
        self.passed = dict(decided.passed)
        before = set(self.open)
        for new in decided.opens:
            key = (new.rule.kind, new.rule.scope)
            assert key not in self.open
            self.open[key] = Open(*key, new.reading.value, new.reading.value, told_at=now if new.tell else None)
            self._tell(key, new.tell, now)
            self.opened += 1
        for one in [*decided.keeps, *decided.closes]:
            self._go_on(one, now)
        assert {one.incident.key for one in [*decided.keeps, *decided.closes]} == before

    def _go_on(self, one: Keeping | Closing, now: datetime) -> None:
        key = one.incident.key
        if isinstance(one, Closing):
            self._tell(key, "closed" if one.tells else "", now)
            del self.open[key]
            return
        told_at = now if one.tell else one.incident.told_at
        self.open[key] = replace(one.incident, worst=one.worst, calm=one.calm, told_at=told_at)
        self._tell(key, one.tell, now)

    def _tell(self, key: Key, what: str, now: datetime) -> None:
        if what:
            self.told.setdefault(key, []).append((what, now))


VALUES = st.one_of(st.none(), st.sampled_from([0.0, 100.0, 101.0, 5000.0, 9000.0]))
LOOKS = st.lists(st.tuples(st.dictionaries(st.sampled_from(["critical", "low"]), VALUES), st.integers(1, 400)))


@settings(max_examples=60, deadline=None)
@given(LOOKS)
def test_whatever_comes_each_incident_is_told_once_and_reminded_of_no_more_often_than_agreed(looks) -> None:
    history, now = History(), NOW
    for values, seconds in looks:
        now += timedelta(seconds=seconds)
        known = {scope: Reading(value) for scope, value in values.items() if value is not None}
        history.look({} if None in values.values() else {"waiting": known}, now)
    for told in history.told.values():
        for (before, at), (what, then) in itertools.pairwise(told):
            assert (what == "opened") == (before == "closed")
            assert what != "reminder" or then - at >= timedelta(minutes=10)
        assert told[0][0] == "opened"
    assert sum(what == "opened" for told in history.told.values() for what, _ in told) == history.opened

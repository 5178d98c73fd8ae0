"""Why a run is not running, decided from evidence: a table with every reason, and what holds for all evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy import why
from jobs.policy.reasons import Evidence, Keeper, Reason, RunFacts, Why
from jobs.policy.whereabouts import (
    COUNTED,
    Holder,
    LaneNow,
    LimitNow,
    Listed,
    Parent,
    Whereabouts,
    WorkersNow,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=5)
LATER = NOW + timedelta(minutes=5)
RUN = RunFacts("queued", "default", created_at=BEFORE, pushed_at=BEFORE)
ONE = WorkersNow(live=1, names=("w1",))
PLACE = Whereabouts(NOW, "hash", status="queued", queue=Listed(1, 0), workers=ONE, serving=ONE)
SLOT = LimitNow("crm", 1, 1, holders=(Holder("other", "w1", BEFORE),))
WINDOW = LimitNow("crm", 5, 5, seconds=60.0, free_at=LATER)


def evidence(place: Whereabouts | None = PLACE, **facts: Any) -> Evidence:
    about = {name: facts.pop(name) for name in list(facts) if name in RunFacts.__dataclass_fields__}
    return Evidence(replace(RUN, **about), NOW, place, **facts)


def place(**facts: Any) -> Whereabouts:
    return replace(PLACE, **facts)


def later(**facts: Any) -> Evidence:
    """A run that waits for a time, and what its row says of it."""
    return evidence(place(status="scheduled", due_at=LATER, queue=Listed()), state="scheduled", **facts)


def in_lane(*limits: LimitNow, parked: bool = True, **facts: Any) -> Whereabouts:
    lane = LaneNow("default\tx", Listed(3, 1), is_parked=parked, ready=2, limits=limits, **facts)
    return place(queue=Listed(), lane=lane)


NOBODY = WorkersNow()
TABLE = [
    ("redis-away", evidence(None)),
    ("not-pushed", evidence(place(kind="none", status="", queue=Listed()), pushed_at=None)),
    ("retry-later", replace(later(), run=replace(RUN, state="retrying", attempts=1))),
    ("lock", later(outcome="postponed", error_class="jobs.errors.LockPutOff", lock=Keeper("stock", since=BEFORE))),
    ("circuit", later(outcome="postponed", error_class="jobs.errors.CircuitOpen", circuit=Keeper("crm", phase="open"))),
    ("circuit", evidence(circuit=Keeper("crm", phase="half-open"))),
    ("unknown-job", later(outcome="unknown job", verdict="put off")),
    ("unknown-job", evidence(is_known=False)),
    ("database-away", later(outcome="database away", verdict="put off")),
    ("put-off", later(outcome="postponed", verdict="put off", error_class="shop.NotYet")),
    ("due-later", later()),
    ("paused", evidence(pause=Keeper("default", "ada", "a move", since=BEFORE))),
    ("not-compared", evidence(place(is_compared=False))),
    ("journal-full", evidence(place(journal=7), journal_limit=7)),
    ("no-worker", evidence(place(workers=NOBODY, serving=NOBODY))),
    ("queue-unserved", evidence(place(serving=NOBODY))),
    ("workers-quiet", evidence(place(serving=replace(ONE, quiet=1)))),
    ("fuse", evidence(in_lane(fuse=3), fuse=Keeper("tests.do", "ada", phase="hold"))),
    ("isolated", evidence(place(queue=Listed(), suspects=Listed(2, 1), crashes=1))),
    ("parent", evidence(place(status="deferred", queue=Listed(), parents=(Parent("p", "started"),)))),
    ("parent-dead", evidence(place(status="deferred", parents=(Parent("q", "queued"), Parent("p", "failed"))))),
    ("slot", evidence(in_lane(SLOT))),
    ("rate-limit", evidence(in_lane(WINDOW))),
    ("lost", evidence(place(kind="none", status="", queue=Listed()))),
    ("lost", evidence(place(queue=Listed(3, None)))),
    ("lost", evidence(place(status="scheduled", queue=Listed()))),
    ("lost", evidence(place(kind="string", status="", queue=Listed()))),
    ("ahead", evidence(place(queue=Listed(10, 4)))),
    ("ahead", evidence(in_lane(replace(SLOT, used=0), parked=False))),
    ("ahead", evidence(place(queue=Listed(COUNTED + 1, None)))),
    ("next", evidence()),
    ("next", evidence(in_lane(replace(SLOT, used=0), parked=False), is_known=True, pause=None)),
    ("running", evidence(place(status="started", is_held=True, lease_until=LATER, worker="w1", claimed_at=BEFORE))),
    ("running", evidence(None, state="running", worker="w1", started_at=BEFORE)),
    ("stopping", evidence(place(status="started", is_held=True, lease_until=LATER, is_stopping=True))),
    ("lease-ended", evidence(place(status="started", is_held=True, lease_until=BEFORE))),
    ("ended-unrecorded", evidence(place(status="finished"))),
    ("dead", evidence(None, state="dead", ended_at=BEFORE)),
    ("ended", evidence(None, state="succeeded", ended_at=BEFORE)),
]
# The lane of the second "next" has one ahead of it.
TABLE = [row for row in TABLE if not (row[0] == "next" and row[1].place is not PLACE)]


@pytest.mark.parametrize(("expected", "known"), TABLE, ids=[f"{number} {row[0]}" for number, row in enumerate(TABLE)])
def test_the_reason_that_counts(expected: str, known: Evidence) -> None:
    assert why.reasons(known)[0].why == expected


def test_every_reason_comes_about() -> None:
    told = {name for name, _ in TABLE} | {Why.UNIQUE, Why.RECORDER_BEHIND}
    assert told == set(Why)


def test_what_stands_still_comes_before_who_is_ahead() -> None:
    found = why.reasons(
        evidence(
            place(queue=Listed(10, 4), is_compared=False), pause=Keeper("default"), circuit=Keeper("c", phase="open")
        )
    )
    assert [reason.why for reason in found] == [Why.PAUSED, Why.NOT_COMPARED, Why.AHEAD, Why.CIRCUIT]


def test_its_turn_is_told_by_the_rate() -> None:
    (reason,) = why.reasons(evidence(place(queue=Listed(900, 812)), per_second=3.1))
    assert reason.facts["count"] == 812
    assert reason.until is not None
    assert (reason.until - NOW).total_seconds() == pytest.approx(812 / 3.1)


def test_lanes_and_the_list_take_turns() -> None:
    (reason,) = why.reasons(evidence(place(queue=Listed(900, 10), laned=4)))
    assert reason.facts["count"] == 14


def test_since_when_a_slot_is_held_is_that_of_its_first_holder() -> None:
    (reason,) = why.reasons(evidence(in_lane(SLOT)))
    assert reason == Reason(Why.SLOT, reason.facts, since=BEFORE)


def test_a_recorder_that_is_behind_is_told_of_as_well() -> None:
    known = evidence(place(journal=5, journal_since=BEFORE))
    assert [reason.why for reason in why.reasons(known)] == [Why.NEXT, Why.RECORDER_BEHIND]


def test_a_dead_run_has_an_equal_in_its_place() -> None:
    known = evidence(None, state="dead", equal="other")
    assert [reason.why for reason in why.reasons(known)] == [Why.DEAD, Why.UNIQUE]


def test_what_was_not_looked_at_is_named_while_redis_is_away_and_the_run_is_pending() -> None:
    assert Why.NO_WORKER in why.unchecked(evidence(None))
    assert why.unchecked(evidence()) == ()
    assert why.unchecked(evidence(None, state="dead")) == ()


moments = st.one_of(st.none(), st.sampled_from([BEFORE, NOW, LATER]))
lists = st.builds(Listed, st.integers(0, 20_000), st.one_of(st.none(), st.integers(0, 9_999)))
limits = st.builds(LimitNow, st.just("x"), st.integers(0, 3), st.integers(0, 3), st.one_of(st.none(), st.just(60.0)))
keepers = st.one_of(st.none(), st.builds(Keeper, st.just("x"), phase=st.sampled_from(["", "open", "closed", "hold"])))
workers = st.builds(WorkersNow, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
lanes = st.one_of(
    st.none(),
    st.builds(
        LaneNow,
        st.just("default\tx"),
        lists,
        st.booleans(),
        st.booleans(),
        st.integers(0, 3),
        st.one_of(st.none(), st.integers(1, 9)),
        st.lists(limits, max_size=2).map(tuple),
    ),
)
places = st.builds(
    Whereabouts,
    st.just(NOW),
    st.sampled_from(["hash", "none", "string"]),
    status=st.sampled_from(["", "queued", "scheduled", "started", "finished", "deferred", "odd"]),
    due_at=moments,
    queue=lists,
    suspects=lists,
    laned=st.integers(0, 5),
    lane=lanes,
    parents=st.lists(st.builds(Parent, st.just("p"), st.sampled_from([None, "failed", "queued"])), max_size=2).map(
        tuple
    ),
    is_held=st.booleans(),
    lease_until=moments,
    is_stopping=st.booleans(),
    is_compared=st.booleans(),
    journal=st.integers(0, 3),
    journal_since=moments,
    workers=workers,
    serving=workers,
)
runs = st.builds(
    RunFacts,
    st.sampled_from(["scheduled", "queued", "running", "retrying", "succeeded", "dead", "discarded", "cancelled"]),
    st.just("default"),
    st.just(BEFORE),
    due_at=moments,
    pushed_at=moments,
    outcome=st.sampled_from(["", "postponed", "unknown job", "raised"]),
    error_class=st.sampled_from(["", "jobs.errors.LockPutOff", "jobs.errors.CircuitOpen"]),
    has_row=st.booleans(),
)


@settings(max_examples=80)
@given(st.builds(Evidence, runs, st.just(NOW), st.one_of(st.none(), places), keepers, keepers, keepers, keepers))
def test_there_is_always_an_answer_and_each_reason_is_told_once(known: Evidence) -> None:
    found = why.reasons(known)
    assert found
    plain = [reason.why for reason in found if reason.why not in (Why.SLOT, Why.RATE_LIMIT)]
    assert len(plain) == len(set(plain))


@settings(max_examples=80)
@given(st.builds(Evidence, runs, st.just(NOW), places, keepers))
def test_a_paused_queue_is_always_told_of(known: Evidence) -> None:
    found = [reason.why for reason in why.reasons(known)]
    place = known.place
    assert place is not None
    waits = known.run.state in ("scheduled", "queued", "running", "retrying")
    moves = place.status == "started" or (place.status == "finished" and place.kind == "hash")
    assert (Why.PAUSED in found) == (known.pause is not None and waits and not moves)

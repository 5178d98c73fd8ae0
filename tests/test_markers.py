"""What may happen once, an effect or an e-mail: under a race, after an error, after a crash, and for its life."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs import context, effects, emails, markers
from jobs.context import CurrentRun
from jobs.effects import once
from jobs.emails import send_once
from jobs.errors import (
    BadOptions,
    EffectInDoubt,
    EmailInDoubt,
    HandBackJob,
    JobsError,
    JobTimedOut,
    NotReleasable,
    PutOffJob,
)
from jobs.jobs import prune_runs
from jobs.models import AuditEntry, Effect, SentEmail
from tests.at_once import at_once

transactional = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


class Kind:
    """One of the two, as its tests see it: `calls` counts what reached the outside."""

    name: str
    model: Any
    again: str
    asks: type[Exception]
    identity: dict[str, str]
    other: dict[str, str]
    found: object
    room: Any

    def __init__(self) -> None:
        self.calls = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def do(self, identity: dict[str, str] | None = None, **choices: Any) -> object:
        """Have it happen once; `meanwhile` is called in the middle of it."""
        raise NotImplementedError

    def left_by_a_crash(self, *, held: timedelta = timedelta(minutes=-5), run: uuid.UUID | None = None) -> Any:
        now = timezone.now()
        return self.model.objects.create(**self.identity, claimed_at=now, held_until=now + held, run=run)

    def say_done(self) -> None:
        """As if another attempt had done it."""
        self.model.objects.update(**{"state": self.model.DONE, self.model.DONE_AT: timezone.now()})

    def state(self) -> str:
        return str(self.model.objects.get().state)


class Effects(Kind):
    name, model, again, asks, found, room = "effects.once", Effect, "call", EffectInDoubt, "found", effects
    identity, other = {"key": "refund-17"}, {"key": "refund-18"}

    def do(self, identity: dict[str, str] | None = None, **choices: Any) -> object:
        return once(**(identity or self.identity), call=self._call, **choices)

    def _call(self) -> str:
        self.meanwhile()
        self.calls += 1
        return "ok"


class Emails(Kind):
    name, model, again, asks, found, room = "send_once", SentEmail, "send", EmailInDoubt, True, emails
    identity = {"kind": "confirmation", "recipient": "ann@example.com", "key": "17"}
    other = {"kind": "confirmation", "recipient": "ann@example.com", "key": "18"}

    def do(self, identity: dict[str, str] | None = None, **choices: Any) -> object:
        before = len(mail.outbox)
        try:
            return send_once(**(identity or self.identity), message=self._made, **choices)
        finally:
            self.calls += len(mail.outbox) - before

    def _made(self) -> EmailMessage:
        self.meanwhile()
        return EmailMessage("Your order", "Thank you.", to=["ann@example.com"])


@pytest.fixture(params=[Effects, Emails], ids=["effect", "e-mail"])
def kind(request: pytest.FixtureRequest) -> Iterator[Kind]:
    return request.param()


def within(run_id: uuid.UUID, *, robbed: bool = False) -> context.running:
    """An attempt of a run; one that was robbed may still have an earlier attempt at it."""
    facts = (run_id, "shop.pay", "default", 1, 5, 30.0, timezone.now(), "tester", print)
    return context.running(CurrentRun(*facts, robbed=robbed))


def struck() -> None:
    raise JobTimedOut


# Once.


@pytest.mark.django_db
def test_it_happens_at_the_first_call_and_not_at_the_second(kind):
    kind.do()
    kind.do()
    assert kind.calls == 1
    assert kind.state() == kind.model.DONE


@pytest.mark.django_db
def test_another_key_is_another_matter(kind):
    kind.do()
    kind.do(kind.other)
    assert kind.calls == 2


@transactional
def test_of_twenty_at_once_one_goes_on_and_the_others_are_told_to_come_back(kind):
    others = threading.Barrier(20)
    kind.meanwhile = lambda: others.wait(timeout=60)

    def work(_: int) -> object:
        try:
            return kind.do()
        except PutOffJob:
            others.wait(timeout=60)
            raise

    answers = at_once(work, range(20), refusals=PutOffJob)
    assert kind.calls == 1
    assert sum(isinstance(answer, PutOffJob) for answer in answers) == 19


@pytest.mark.django_db
def test_who_comes_while_another_run_is_at_it_comes_back_soon_and_burns_no_attempt(kind):
    kind.left_by_a_crash(held=timedelta(seconds=100), run=uuid.uuid4())
    with pytest.raises(PutOffJob, match="another run is at the ") as caught:
        kind.do()
    assert 0 < caught.value.seconds <= 5
    assert kind.calls == 0


# An earlier attempt of the same run.


@pytest.mark.django_db
def test_the_same_run_takes_up_its_own_claim_at_once(kind):
    run_id = uuid.uuid4()
    kind.left_by_a_crash(held=timedelta(minutes=5), run=run_id)
    with within(run_id):
        kind.do()
    assert kind.calls == 1
    assert kind.model.objects.get().run == run_id


@pytest.mark.django_db
def test_an_attempt_waits_for_an_earlier_one_that_may_live(kind, monkeypatch):
    run_id = uuid.uuid4()
    kind.left_by_a_crash(held=timedelta(minutes=5), run=run_id)
    monkeypatch.setattr(markers.time, "sleep", lambda seconds: kind.say_done())
    with within(run_id, robbed=True):
        kind.do()
    assert kind.calls == 0


@pytest.mark.django_db
def test_an_attempt_goes_on_when_the_earlier_one_let_it_go(kind, monkeypatch):
    run_id = uuid.uuid4()
    kind.left_by_a_crash(held=timedelta(minutes=5), run=run_id)
    monkeypatch.setattr(markers.time, "sleep", lambda seconds: kind.model.objects.all().delete())
    with within(run_id, robbed=True):
        kind.do()
    assert kind.calls == 1


@pytest.mark.django_db
def test_an_attempt_that_should_end_while_it_waits_goes_on_later(kind, monkeypatch):
    run_id = uuid.uuid4()
    kind.left_by_a_crash(held=timedelta(minutes=5), run=run_id)
    monkeypatch.setattr(CurrentRun, "stopping", lambda run: True)
    with within(run_id, robbed=True), pytest.raises(HandBackJob):
        kind.do()
    assert kind.calls == 0


@pytest.mark.django_db
def test_an_attempt_does_not_wait_beyond_the_time_limit_of_an_earlier_one(kind, monkeypatch):
    run_id = uuid.uuid4()
    monkeypatch.setattr(markers, "_LOOK_AGAIN_SECONDS", 0.02)
    kind.left_by_a_crash(held=timedelta(seconds=0.1), run=run_id)
    with within(run_id, robbed=True):
        kind.do()
    assert kind.calls == 1


# In doubt.


@pytest.mark.django_db
def test_after_a_crash_it_happens_again_by_default(kind):
    kind.left_by_a_crash()
    kind.do()
    assert (kind.calls, kind.state()) == (1, kind.model.DONE)


@pytest.mark.django_db
def test_after_a_crash_a_person_is_asked_where_that_was_chosen(kind):
    kind.left_by_a_crash()
    with pytest.raises(kind.asks, match="what came of it"):
        kind.do(in_doubt="ask")
    assert (kind.calls, kind.state()) == (0, "claimed")


@pytest.mark.django_db
def test_after_a_crash_it_is_looked_up_and_does_not_happen_again_where_it_did(kind):
    kind.left_by_a_crash()
    answer = kind.do(look_up=lambda: kind.found)
    assert (kind.calls, kind.state()) == (0, kind.model.DONE)
    assert answer == ("found" if kind.model is Effect else False)
    assert kind.do(in_doubt="look up", look_up=lambda: 1 / 0) == answer


@pytest.mark.django_db
def test_after_a_crash_it_is_looked_up_and_happens_where_it_did_not(kind):
    kind.left_by_a_crash()
    kind.do(look_up=lambda: None)
    assert (kind.calls, kind.state()) == (1, kind.model.DONE)


@pytest.mark.django_db
def test_a_look_up_that_cannot_know_leaves_the_doubt_to_the_next_attempt(kind):
    run_id = uuid.uuid4()
    kind.left_by_a_crash(run=run_id)

    def cannot_know() -> object:
        raise ConnectionError("no answer")

    with within(run_id):
        with pytest.raises(ConnectionError):
            kind.do(look_up=cannot_know)
        assert (kind.calls, kind.state()) == (0, "claimed")
        kind.do(look_up=lambda: kind.found)
    assert (kind.calls, kind.state()) == (0, kind.model.DONE)


@pytest.mark.django_db
def test_without_a_doubt_nothing_is_looked_up(kind):
    kind.do(look_up=lambda: 1 / 0)
    assert kind.calls == 1


@pytest.mark.django_db
def test_of_two_that_take_up_a_left_claim_one_goes_on(kind, monkeypatch):
    kind.left_by_a_crash()
    check = markers._check_left_behind

    def be_late(deed, marker, now):
        check(deed, marker, now)
        kind.model.objects.update(claimed_at=timezone.now() + timedelta(seconds=1))

    monkeypatch.setattr(markers, "_check_left_behind", be_late)
    with pytest.raises(PutOffJob, match="just begun"):
        kind.do()
    assert kind.calls == 0


@pytest.mark.django_db
def test_an_error_lets_it_go(kind):
    kind.meanwhile = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        kind.do()
    assert not kind.model.objects.exists()
    kind.meanwhile = lambda: None
    kind.do()
    assert kind.calls == 1


@pytest.mark.django_db
def test_an_error_does_not_let_go_what_another_has_taken_up_meanwhile(kind):
    def overtaken() -> None:
        kind.model.objects.update(claimed_at=timezone.now() + timedelta(seconds=5))
        raise ValueError("late")

    kind.meanwhile = overtaken
    with pytest.raises(ValueError, match="late"):
        kind.do()
    assert kind.model.objects.exists()


@pytest.mark.django_db
def test_a_time_limit_that_strikes_in_the_middle_leaves_a_doubt(kind):
    kind.meanwhile = struck
    with pytest.raises(JobTimedOut):
        kind.do()
    assert kind.state() == "claimed"


@pytest.mark.django_db
def test_what_was_forgotten_in_the_middle_is_kept_all_the_same(kind):
    kind.meanwhile = lambda: kind.model.objects.all().delete()
    kind.do()
    assert kind.state() == kind.model.DONE
    kind.do()
    assert kind.calls == 1


@transactional
def test_a_connection_that_broke_in_the_middle_does_not_make_it_doubtful(kind, monkeypatch):
    update, broken = QuerySet.update, []

    def update_once_connected(rows, **facts):
        if facts.get("state") == kind.model.DONE and not broken:
            broken.append(True)
            raise OperationalError("server closed the connection")
        return update(rows, **facts)

    monkeypatch.setattr(QuerySet, "update", update_once_connected)
    kind.do()
    assert broken
    assert kind.state() == kind.model.DONE


# Its life.


@pytest.mark.django_db
def test_when_its_life_is_over_it_may_happen_again(kind):
    kind.do(lasting=DAY)
    kind.do(lasting=DAY)
    assert kind.calls == 1
    marker = kind.model.objects.get()
    assert marker.expires_at - marker.ended_at == DAY
    kind.model.objects.update(expires_at=timezone.now())
    kind.do(lasting=DAY)
    assert kind.calls == 2
    assert kind.model.objects.get().expires_at > timezone.now()


@pytest.mark.django_db
def test_of_two_that_come_when_its_life_is_over_one_goes_on(kind):
    kind.do(lasting=DAY)
    kind.model.objects.update(expires_at=timezone.now())
    second = []

    def come_too() -> None:
        with pytest.raises(PutOffJob):
            type(kind)().do(lasting=DAY)
        second.append(True)

    kind.meanwhile = come_too
    kind.do(lasting=DAY)
    assert second == [True]


@pytest.mark.django_db
def test_a_crash_after_its_life_was_over_is_a_doubt_like_any_other(kind):
    kind.do(lasting=DAY)
    now = timezone.now()
    kind.model.objects.update(expires_at=now)
    kind.meanwhile = struck
    with pytest.raises(JobTimedOut):
        kind.do(lasting=DAY)
    kind.model.objects.update(held_until=now)
    with pytest.raises(kind.asks):
        kind.do(lasting=DAY, in_doubt="ask")


@pytest.mark.django_db
def test_markers_whose_life_is_over_are_deleted_by_night_and_others_stay(kind):
    kind.do(lasting=DAY)
    kind.do(kind.other)
    assert not kind.room.is_anything_prunable()
    kind.model.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now())
    assert kind.room.is_anything_prunable()
    assert prune_runs("2026-05-04")["effects" if kind.model is Effect else "emails"] == 1
    assert kind.model.objects.get().identity == kind.other


# Refused.


@transactional
def test_inside_a_transaction_it_is_refused_before_anything_happens(kind):
    with transaction.atomic(), pytest.raises(JobsError, match="before or after the block"):
        kind.do()
    assert kind.calls == 0
    assert not kind.model.objects.exists()


@pytest.mark.django_db
def test_the_transaction_that_a_test_runs_in_does_not_count(kind):
    kind.do()
    with transaction.atomic(), pytest.raises(JobsError):
        kind.do(kind.other)


@pytest.mark.parametrize(
    ("choices", "cure"),
    [
        ({"in_doubt": "perhaps"}, '"ask", or "look up"'),
        ({"in_doubt": "look up"}, "look_up= alone"),
        ({"in_doubt": "ask", "look_up": print}, "look_up= alone"),
        ({"lasting": 60}, "a timedelta above 0"),
        ({"lasting": timedelta(0)}, "a timedelta above 0"),
    ],
)
def test_choices_that_cannot_be_are_refused(kind, choices, cure):
    with pytest.raises(BadOptions, match=cure):
        kind.do(**choices)


# What a person says.


@pytest.mark.django_db
def test_a_person_releases_what_is_in_doubt_and_it_happens_again(kind):
    marker = kind.left_by_a_crash()
    markers.release(marker, actor="ann", reason="the partner knows nothing", address="10.0.0.1")
    kind.do(in_doubt="ask")
    assert kind.calls == 1
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.reason, entry.address) == (
        "ann",
        f"release {kind.model._meta.verbose_name}",
        "the partner knows nothing",
        "10.0.0.1",
    )
    assert entry.target == " ".join(kind.identity.values())


@pytest.mark.django_db
def test_a_person_says_that_it_happened_and_it_does_not_again(kind):
    marker = kind.left_by_a_crash()
    facts = {"result": "seen"} if kind.model is Effect else {}
    markers.mark_done(marker, facts, actor="ann", reason="seen at the partner's")
    assert kind.do(in_doubt="ask") == ("seen" if facts else False)
    assert kind.calls == 0
    assert AuditEntry.objects.get().action.startswith("mark done")


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["release", "mark done"])
def test_what_a_run_may_be_at_is_left_alone_unless_it_is_forced(kind, verb):
    marker = kind.left_by_a_crash(held=timedelta(minutes=5))

    def act(**force: bool) -> None:
        if verb == "release":
            markers.release(marker, actor="ann", reason="stuck", **force)
        else:
            markers.mark_done(marker, {}, actor="ann", reason="stuck", **force)

    with pytest.raises(NotReleasable, match="may be at it"):
        act()
    assert kind.state() == "claimed"
    act(force=True)
    assert AuditEntry.objects.get().before["forced"] is True


@pytest.mark.django_db
def test_what_has_changed_since_a_person_looked_is_left_alone(kind):
    marker = kind.left_by_a_crash()
    kind.do()
    with pytest.raises(NotReleasable, match="changed since"):
        markers.release(marker, actor="ann", reason="old page")
    assert kind.state() == kind.model.DONE
    assert not AuditEntry.objects.exists()

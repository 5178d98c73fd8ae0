"""An effect happens once: under a race, after an error, after a crash, and whatever its call gives."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from jobs import RetryPolicy, context, effects, markers
from jobs.context import CurrentRun
from jobs.effects import once
from jobs.errors import BadOptions, EffectInDoubt, EffectNotKept
from jobs.jobs import prune_runs
from jobs.models import AuditEntry, DeadJob, Effect
from jobs.policy.outcome import Raised
from jobs.policy.retry import Bury, judge
from jobs.testing import drain
from tests import engine
from tests.engine import a_run, work_off

make_job = engine.make_job
transactional = pytest.mark.django_db(transaction=True)


class Partner:
    """Takes calls and counts them; `error` is raised after one was taken."""

    def __init__(self, answer: object = "ok", error: BaseException | None = None) -> None:
        self.calls = 0
        self.answer = answer
        self.error = error

    def __call__(self) -> object:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.fixture
def partner() -> Partner:
    return Partner({"id": "re_1", "cents": 900})


def left_by_a_crash(*, held: timedelta = timedelta(minutes=-5), run: uuid.UUID | None = None) -> Effect:
    now = timezone.now()
    return Effect.objects.create(key="refund-17", claimed_at=now, held_until=now + held, run=run)


def within(run_id: uuid.UUID) -> context.running:
    return context.running(CurrentRun(run_id, "shop.pay", "default", 1, 5, 30.0, timezone.now(), "tester", print))


def robbed(run_id: uuid.UUID) -> context.running:
    """An attempt whose run was taken from a worker that may still be at it."""
    facts = (run_id, "shop.pay", "default", 1, 5, 30.0, timezone.now(), "tester", print)
    return context.running(CurrentRun(*facts, robbed=True))


@transactional
def test_an_attempt_waits_for_an_earlier_one_that_may_live_and_gets_its_result(partner, monkeypatch):
    run_id = uuid.uuid4()
    left_by_a_crash(held=timedelta(minutes=5), run=run_id)
    done = {"state": "done", "result": {"id": "re_0"}, "done_at": timezone.now()}
    monkeypatch.setattr(markers.time, "sleep", lambda seconds: Effect.objects.update(**done))
    with robbed(run_id):
        assert once("refund-17", partner) == {"id": "re_0"}
    assert partner.calls == 0


@transactional
def test_an_effect_is_made_and_its_result_given_and_kept(partner):
    run_id = uuid.uuid4()
    with within(run_id):
        assert once("refund-17", partner) == {"id": "re_1", "cents": 900}
    effect = Effect.objects.get()
    assert (effect.key, effect.state, effect.result, effect.run) == ("refund-17", "done", partner.answer, run_id)
    assert effect.claimed_at <= effect.done_at


@transactional
def test_a_retry_gets_the_stored_result_and_calls_nothing(partner):
    once("refund-17", partner)
    assert once("refund-17", Partner("another")) == partner.answer
    assert partner.calls == 1


@transactional
def test_a_result_of_none_is_one_too():
    silent = Partner(None)
    assert once("ping", silent) is None
    assert once("ping", silent) is None
    assert silent.calls == 1


@transactional
def test_the_first_call_gives_what_later_ones_will_get():
    assert once("pair", Partner((1, 2))) == [1, 2] == once("pair", Partner())


@transactional
def test_a_claim_is_held_for_as_long_as_its_attempt_may_take():
    def look() -> None:
        effect = Effect.objects.get()
        assert 30 < (effect.held_until - effect.claimed_at).total_seconds() <= 40

    with within(uuid.uuid4()):
        once("refund-17", look)


@transactional
def test_an_error_leaves_a_doubt_where_a_person_is_to_be_asked():
    cut_off = Partner(error=ConnectionError("cut off"))
    with pytest.raises(ConnectionError):
        once("refund-17", cut_off, in_doubt="ask", not_done=ValueError)
    Effect.objects.update(held_until=timezone.now())
    with pytest.raises(EffectInDoubt):
        once("refund-17", cut_off, in_doubt="ask")
    assert cut_off.calls == 1


@transactional
def test_an_error_that_says_that_nothing_was_done_leaves_no_doubt(partner):
    with pytest.raises(ValueError, match="declined"):
        once("refund-17", Partner(error=ValueError("declined")), in_doubt="ask", not_done=(ValueError, KeyError))
    assert once("refund-17", partner, in_doubt="ask") == partner.answer


@transactional
def test_a_result_that_is_not_json_is_refused_and_the_call_never_made_again():
    partner = Partner({"amount": Decimal("9.00")})
    for _ in range(3):
        with pytest.raises(EffectNotKept, match=r"It happened.*Decimal.*pass str.*remember\('refund-17'"):
            once("refund-17", partner)
    assert partner.calls == 1


@transactional
def test_what_a_person_says_came_of_it_is_what_every_call_gets():
    with pytest.raises(EffectNotKept):
        once("refund-17", Partner(object()))
    effects.remember("refund-17", {"id": "re_1"}, actor="ann", reason="seen at the bank")
    effects.remember("refund-18", None, actor="ann")
    assert once("refund-17", Partner()) == {"id": "re_1"}
    assert once("refund-18", Partner()) is None
    told = AuditEntry.objects.order_by("pk").values_list("actor", "action", "target", "reason").first()
    assert told == ("ann", "remember effect", "refund-17", "seen at the bank")


@transactional
def test_what_is_forgotten_is_made_again(partner):
    once("refund-17", partner)
    assert effects.forget("refund-17", actor="ann", reason="a test order")
    assert not effects.forget("refund-17", actor="ann")
    once("refund-17", partner)
    assert partner.calls == 2
    assert AuditEntry.objects.get().action == "forget effect"


@transactional
def test_of_two_results_the_first_stays(partner):
    def slow() -> str:
        effects.remember("refund-17", "first", actor="ann")
        return "second"

    assert once("refund-17", slow) == "first"


@pytest.mark.parametrize("key", ["", "x" * 201, 17, None])
def test_a_key_that_cannot_be_is_refused(key, partner):
    with pytest.raises(BadOptions, match="1 to 200"):
        once(key, partner)


@transactional
def test_a_run_that_needs_a_person_is_dead_at_once(make_job):
    left_by_a_crash()
    refund = make_job(lambda: once("refund-17", Partner(), in_doubt="ask"), retry=5)
    run = refund.enqueue()
    work_off()
    assert run.state == "dead"
    assert DeadJob.objects.get().reason == "permanent"


def test_a_rule_may_have_it_retried_all_the_same():
    policy = RetryPolicy(rules={EffectInDoubt: RetryPolicy(attempts=3)})
    verdict = judge(Raised(EffectInDoubt("?")), policy, attempt=1, crashes=0, roll=0.0)
    assert not isinstance(verdict, Bury)


@transactional
def test_a_run_that_crashed_after_its_effect_gets_the_result_when_it_runs_again(make_job, partner):
    got: list[object] = []

    def pay() -> None:
        got.append(once("refund-17", partner))
        if len(got) == 1:
            raise ConnectionError

    run = make_job(pay, retry=RetryPolicy(backoff=lambda attempts: 0.0)).enqueue()
    work_off()
    drain(due=True)
    assert run.state == "succeeded"
    assert got == [partner.answer, partner.answer]
    assert partner.calls == 1


@transactional
def test_the_nightly_clean_up_deletes_what_nobody_can_ask_for_again(jobs_settings):
    now, old = timezone.now(), timezone.now() - timedelta(days=91)
    kept_run = a_run("dead")
    facts = {"claimed_at": old, "held_until": old}
    Effect.objects.create(key="old", state="done", done_at=old, run=uuid.uuid4(), **facts)
    Effect.objects.create(key="old, without a run", state="done", done_at=old, **facts)
    Effect.objects.create(key="old, of a run that may come back", state="done", done_at=old, run=kept_run.pk, **facts)
    Effect.objects.create(key="young", state="done", done_at=now, **facts)
    Effect.objects.create(key="in doubt", **facts)
    assert effects.is_anything_prunable()
    assert prune_runs("2026-05-04")["effects"] == 2
    assert not effects.is_anything_prunable()
    assert {effect.key for effect in Effect.objects.all()} == {
        "old, of a run that may come back",
        "young",
        "in doubt",
    }

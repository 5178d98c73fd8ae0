"""A job gets a fuse by itself when its figures pass its rule."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import FuseRule, fuses
from jobs.models import AuditEntry, Fuse, JobAttempt, MetricMinute
from jobs.worker.recording import Recording
from tests.engine import a_run, make_job  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


def crash(count, name="tests.sample.add", *, ago=1.0, verdict="retry"):
    run = a_run("retrying", name=name)
    at = timezone.now() - timedelta(seconds=ago)
    for number in range(count):
        JobAttempt.objects.create(
            run=run,
            number=number + 1,
            token=secrets.token_hex(8),
            started_at=at,
            ended_at=at,
            run_ms=1,
            worker="w",
            outcome="crashed",
            verdict=verdict,
        )


def fail(failed, succeeded, name, *, ago=1.0):
    minute = (timezone.now() - timedelta(seconds=ago)).replace(second=0, microsecond=0)
    MetricMinute.objects.create(name=name, queue="default", minute=minute, failed=failed, succeeded=succeeded)


def test_by_default_a_job_that_crashes_five_times_is_held(caplog):
    crash(5)
    (fuse,) = fuses.follow_rules()
    assert (fuse.name, fuse.action, fuse.by_rule, fuse.actor) == ("tests.sample.add", "hold", True, "rule")
    assert fuse.expires_at - fuse.created_at == timedelta(seconds=600)
    assert AuditEntry.objects.get().reason == "5 crashes in 10 minutes"
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    "how", [{"count": 4}, {"count": 9, "ago": 601}, {"count": 9, "verdict": "isolate"}, {"count": 9, "name": "gone"}]
)
def test_too_few_too_old_or_unproven_crashes_hold_nothing(how):
    crash(**how)
    assert fuses.follow_rules() == []


def test_what_happened_before_the_last_fuse_ended_does_not_count_again():
    crash(5)
    (fuse,) = fuses.follow_rules()
    assert fuses.follow_rules() == []
    fuses.lift(fuse, actor="ann")
    assert fuses.follow_rules() == []
    crash(5, ago=0)
    assert len(fuses.follow_rules()) == 1


def test_a_job_without_a_rule_gets_no_fuse(make_job):  # noqa: F811
    job = make_job(lambda: None, fuse=None)
    crash(50, job.name)
    assert fuses.follow_rules() == []


def test_a_job_that_fails_too_often_gets_what_its_rule_says(make_job):  # noqa: F811
    rule = FuseRule(failure_rate=0.5, of=10, action="slow", rate="1/s", for_seconds=60)
    job, other = make_job(lambda: None, fuse=rule), make_job(lambda: None)
    fail(5, 5, job.name)
    fail(50, 0, other.name)
    (fuse,) = fuses.follow_rules()
    assert (fuse.name, fuse.action, fuse.rate) == (job.name, "slow", "1/s")
    assert fuse.reason == "5 of 10 attempts failed in 10 minutes"


def test_failures_of_long_ago_do_not_count(make_job):  # noqa: F811
    job = make_job(lambda: None, fuse=FuseRule(failure_rate=0.5, of=1, within=60))
    fail(50, 0, job.name, ago=180)
    assert fuses.follow_rules() == []


def test_a_fuse_by_hand_on_some_runs_does_not_keep_the_rule_from_holding_all():
    fuses.add("add", where={"left": 1}, reason="one bad order", actor="ann")
    crash(5)
    assert [fuse.where for fuse in fuses.follow_rules()] == [{}]
    assert Fuse.objects.count() == 2


def test_following_the_rules_asks_two_questions_where_nothing_is_wrong(django_assert_max_num_queries):
    with django_assert_max_num_queries(3):
        fuses.follow_rules()


def test_the_recording_process_follows_the_rules_and_ends_what_is_over(monkeypatch):
    monkeypatch.setattr("jobs.worker.recording._BLOCK_SECONDS", 0.01)
    fuse = fuses.add("urgent", reason="it loops", actor="ann")
    Fuse.objects.filter(pk=fuse.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    crash(5)
    Recording().turn()
    assert Fuse.objects.get(pk=fuse.pk).ended_by == "expiry"
    assert Fuse.objects.get(by_rule=True).name == "tests.sample.add"

"""Runs that wait for a time are shown soonest first, and run now, postponed or cancelled from there."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import pending, schedules
from jobs.broker import keys
from jobs.broker.connection import client as redis
from jobs.errors import BrokerUnavailable, NotReschedulable
from jobs.models import AuditEntry, JobRun, ScheduleTick, WorkerProcess
from jobs.registry import get
from tests.admin.rows import a_run
from tests.admin.test_dead_jobs import told

PAGE = reverse("admin:jobs_jobrun_waiting")
MINUTE = timedelta(minutes=1)


def waiting(in_: timedelta, state: str = "scheduled", **facts: Any) -> JobRun:
    return a_run(state, due_at=timezone.now() + in_, attempts=facts.pop("attempts", 0), **facts)


def text_of(answer: HttpResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode().partition("<main")[2]).split())


def shown(client: Client, **query: str) -> list[str]:
    """The jobs that the page lists, in its order."""
    return re.findall(r'<th scope="row"><a [^>]+>([^<]+)<', client.get(PAGE, query).content.decode())


def score(run: JobRun) -> float | None:
    found: float | None = redis().zscore(keys.scheduled(run.queue), run.rq_id)
    return found


def act(run: JobRun, name: str) -> str:
    return reverse("admin:jobs_jobrun_act", args=[run.pk, name])


def test_without_the_permission_the_page_does_not_open(stranger: Client) -> None:
    assert stranger.get(PAGE).status_code == 403


def test_when_nothing_waits_the_next_schedule_is_told(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    assert "Nothing due." in text_of(viewer.get(PAGE))
    terms = {"job": "tests.sample.leave", "expression": "0 2 * * *", "timezone": "UTC"}
    schedules.add("nightly", terms, actor="ann")
    answer = viewer.get(PAGE)
    assert_strict(answer.content)
    assert "Next schedule:" in text_of(answer)
    assert "Nothing waits for its next attempt." in text_of(viewer.get(PAGE, {"tab": "retrying"}))


def test_the_soonest_stands_first_and_what_is_overdue_is_said(
    viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    for name, minutes in {"b.hour": 30, "c.day": 120, "a.late": -1, "d.far": 9000}.items():
        waiting(minutes * MINUTE, name=name)
    waiting(MINUTE / 2, "retrying", name="e.again", attempts=1, error_class="shop.GatewayDown", error_message="<b>503")
    answer = viewer.get(PAGE)
    assert_strict(answer.content)
    assert shown(viewer) == ["a.late", "b.hour", "c.day", "d.far"]
    page = text_of(answer)
    assert "overdue 1 within a minute 0 within an hour 1 within a day 1 later 1" in page
    assert "What is overdue should be in its queue by now" in page
    assert "No worker was seen lately." in page
    WorkerProcess.objects.create(name="web1.7", host="web1", kind="child", seen_at=timezone.now() - 4 * MINUTE)
    assert "A worker was last seen 4 min" in text_of(viewer.get(PAGE))
    assert shown(viewer, due="hour") == ["b.hour"]
    assert shown(viewer, tab="retrying") == ["e.again"]
    retries = text_of(viewer.get(PAGE, {"tab": "retrying"}))
    assert "GatewayDown: &lt;b&gt;503" in retries
    assert "2 of 3" in retries
    assert "Run now…" not in page


def test_it_says_where_a_run_comes_from(viewer: Client) -> None:
    terms = {"job": "tests.sample.leave", "expression": "0 2 * * *", "timezone": "UTC"}
    schedule, run, now = schedules.add("nightly", terms, actor="ann"), waiting(MINUTE), timezone.now()
    ScheduleTick.objects.create(schedule=schedule, due_at=now, ticked_at=now, state="asked", run=run.pk)
    waiting(2 * MINUTE, parent=run.pk)
    page = text_of(viewer.get(PAGE))
    assert "schedule nightly" in page
    assert "another run" in page


def test_it_comes_in_pages_of_bounded_queries(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = timezone.now() + MINUTE
    for number in range(30):
        a_run("scheduled", name=f"job-{number:02}", due_at=due if number < 20 else due + MINUTE, attempts=0)
    monkeypatch.setattr("jobs.admin.waiting_runs.PAGE_SIZE", 12)
    with django_assert_max_num_queries(8):
        first = viewer.get(PAGE)
    found, answer = shown(viewer), first
    while following := re.search(r'href="\?([^"]*after=[^"]+)" rel="next"', answer.content.decode()):
        answer = viewer.get(f"{PAGE}?{following[1].replace('&amp;', '&')}")
        found += re.findall(r'<th scope="row"><a [^>]+>([^<]+)<', answer.content.decode())
    assert found == sorted(found)
    assert len(found) == 30


def test_looking_changes_nothing(operator: Client) -> None:
    run = waiting(MINUTE)
    before = list(JobRun.objects.values())
    for address in (PAGE, act(run, "postpone"), act(run, "run-now")):
        assert operator.get(address).status_code == 200
    assert list(JobRun.objects.values()) == before
    assert not AuditEntry.objects.exists()
    assert operator.post(PAGE).status_code == 405


def test_without_redis_the_page_says_so(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BrokerUnavailable("Redis does not answer.")

    run = waiting(MINUTE)
    monkeypatch.setattr("jobs.broker.inspect.ping", refuse)
    monkeypatch.setattr("jobs.pending.delay", refuse)
    assert "nothing becomes due until it does" in text_of(operator.get(PAGE))
    answer = operator.post(act(run, "postpone"), {"until": "2h", "reason": "x"})
    assert "Redis does not answer" in told(answer)[-1]
    assert JobRun.objects.get().due_at == run.due_at


@pytest.mark.django_db(transaction=True)
def test_an_operator_postpones_a_run(operator: Client) -> None:
    run = get("tests.sample.leave").enqueue_in(600).row()
    assert "Postpone…" in text_of(operator.get(PAGE))
    operator.post(act(run, "postpone"), {"until": "2h", "reason": "they close at noon"})
    row = JobRun.objects.get()
    assert row.due_at is not None
    assert timedelta(minutes=119) < row.due_at - timezone.now() < timedelta(minutes=121)
    assert score(run) == pytest.approx(row.due_at.timestamp(), abs=0.002)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("postpone", str(run.pk), "they close at noon")
    assert entry.after == {"due": row.due_at.isoformat()}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"until": "2h"}, "Write down why"),
        ({"reason": "x"}, "Write for how long"),
        ({"reason": "x", "until": "soon"}, "is no age"),
        ({"reason": "x", "until": "2020-01-01T08:00"}, "has passed"),
    ],
)
def test_a_form_that_says_too_little_is_asked_again(operator: Client, fields: dict[str, str], words: str) -> None:
    run = waiting(MINUTE)
    assert words in text_of(operator.post(act(run, "postpone"), fields))
    assert JobRun.objects.get().due_at == run.due_at


def test_a_run_whose_time_has_just_come_is_left_alone() -> None:
    run = waiting(MINUTE)
    with pytest.raises(NotReschedulable, match="its time has just come"):
        pending.postpone(run, until=timezone.now() + 5 * MINUTE, actor="ann")
    with pytest.raises(NotReschedulable, match="succeeded"):
        pending.postpone(a_run("succeeded"), until=timezone.now() + MINUTE, actor="ann")
    assert JobRun.objects.get(pk=run.pk).due_at == run.due_at
    assert not AuditEntry.objects.exists()


def test_a_run_that_is_not_pushed_yet_is_pushed_for_its_new_time() -> None:
    run, until = waiting(MINUTE, pushed_at=None), timezone.now() + 5 * MINUTE
    pending.postpone(run, until=until, actor="ann")
    assert JobRun.objects.get().due_at == until


def test_a_viewer_postpones_nothing_and_the_refusal_is_written_down(viewer: Client) -> None:
    run = waiting(MINUTE)
    assert viewer.get(act(run, "postpone")).status_code == 403
    assert viewer.post(act(run, "postpone"), {"until": "2h", "reason": "x"}).status_code == 403
    assert JobRun.objects.get().due_at == run.due_at
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.outcome) == ("postpone", str(run.pk), "refused")

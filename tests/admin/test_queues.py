from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import fuses, queues
from jobs.broker import keys
from jobs.broker.connection import client as redis
from jobs.models import AuditEntry, BulkAction, QueuePause, QueueSample
from tests.admin.rows import a_run

LIST = reverse("admin:jobs_queuepause_changelist")
ONE = reverse("admin:jobs_queuepause_change", args=["default"])


def act(name: str, queue: str = "default") -> str:
    return reverse("admin:jobs_queuepause_act", args=[name, queue])


def told(answer: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def pause(**words: object) -> QueuePause:
    return queues.pause("default", **{"reason": "<b>the partner is down</b>", "actor": "ann", **words})


def sampled(count: int) -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    QueueSample.objects.bulk_create(
        QueueSample(queue="default", minute=now - timedelta(minutes=number), depth=number, wait_ms=number * 100)
        for number in range(count)
    )


@pytest.fixture
def no_redis(settings: Any) -> None:
    """Nobody listens at the server's address."""
    away = {name: {**options, "URL": "redis://127.0.0.1:1/0"} for name, options in settings.RQ_QUEUES.items()}
    settings.RQ_QUEUES = away


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    for address in (LIST, ONE, act("pause"), act("clear")):
        assert stranger.get(address).status_code == 403


def test_a_viewer_sees_every_queue_and_no_button(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    for address in (LIST, ONE):
        content = viewer.get(address).content
        assert_strict(content)
        assert b"default" in content
        assert b"/pause/" not in content
    assert b"no live worker" in viewer.get(LIST).content


def test_its_numbers_lead_to_what_they_count(viewer: Client) -> None:
    later = a_run("scheduled", queue="default", due_at=timezone.now() + timedelta(hours=1), attempts=0)
    a_run("scheduled", queue="low", due_at=timezone.now() + timedelta(hours=1), attempts=0)
    jobs = reverse("admin:jobs_jobrun_changelist")
    page = viewer.get(ONE).content.decode()
    addresses = [f"{jobs}?queue=default&state=queued", f"{jobs}?queue=default&q=state:scheduled,retrying"]
    addresses.append(f"{reverse('admin:jobs_metricminute_changelist')}?period=1h&queue=default")
    for address in addresses:
        assert f'href="{address.replace("&", "&amp;")}"' in page
        assert viewer.get(address).status_code == 200
    listed = viewer.get(addresses[1]).content.decode()
    assert re.findall(r'title="([0-9a-f-]{36})"', listed) == [str(later.pk)]


def test_an_operator_pauses_with_a_reason_and_an_end(operator: Client) -> None:
    page = operator.get(act("pause"))
    assert b"Pause the queue" in page.content
    answer = operator.post(act("pause"), {"reason": "the partner is down", "until": "2h"})
    assert answer.url == ONE
    assert "is paused" in told(answer)[0]
    row = QueuePause.objects.get()
    assert row.until is not None
    assert timedelta(minutes=119) < row.until - timezone.now() < timedelta(minutes=121)
    shown = operator.get(LIST).content.decode()
    assert "the partner is down" in shown
    assert "/resume/" in shown
    operator.post(act("resume"), {"reason": "it is back"})
    assert b"ended by" in operator.get(ONE).content
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["pause_queue", "resume_queue"]


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"reason": ""}, "Write down why"),
        ({"reason": "x", "until": "soon"}, "is no age"),
        ({"reason": "x", "until": "2001-01-01T00:00"}, "has passed"),
    ],
)
def test_what_is_missing_is_said_and_nothing_changes(operator: Client, form: dict[str, str], problem: str) -> None:
    assert problem in operator.post(act("pause"), form).content.decode()
    assert not QueuePause.objects.exists()


def test_a_second_click_changes_nothing_and_says_so(operator: Client) -> None:
    pause()
    assert b"has been paused by ann already" in operator.get(act("pause")).content
    answer = operator.post(act("pause"), {"reason": "again"})
    assert "paused already by ann" in told(answer)[0]
    assert QueuePause.objects.count() == 1


def test_who_may_not_is_refused_and_that_is_recorded(viewer: Client) -> None:
    pause()
    for name in ("pause", "resume", "clear"):
        assert viewer.post(act(name), {"reason": "x", "typed": "default"}).status_code == 403
    refused = AuditEntry.objects.filter(outcome="refused").order_by("pk").values_list("action", "target")
    assert list(refused) == [
        ("pause_queue", "queue default"),
        ("resume_queue", "queue default"),
        ("bulk clear ask", "queue default"),
    ]
    assert QueuePause.objects.filter(resumed_at__isnull=True).exists()


def test_a_queue_is_cleared_by_its_typed_name(operator: Client) -> None:
    a_run("queued")
    wrong = operator.post(act("clear"), {"typed": "low", "reason": "a loop"})
    assert "Type" in told(wrong)[0]
    assert not BulkAction.objects.exists()
    form = {"typed": "default", "reason": "a loop", "key": "k1"}
    operator.post(act("clear"), form)
    operator.post(act("clear"), form)
    action = BulkAction.objects.get()
    assert (action.verb, action.total, action.selection["words"]) == ("clear", 1, {"queue": "default"})


def test_clearing_has_the_pace_of_bulk_actions(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.bulk.pace.PER_MINUTE", 2)
    a_run("queued")
    for _ in range(3):
        operator.post(act("clear"), {"typed": "default", "reason": "a loop"})
    assert BulkAction.objects.count() == 2
    assert AuditEntry.objects.get(outcome="refused").action == "bulk clear ask"


def test_where_no_queue_is_configured_the_page_says_so(viewer: Client, settings: Any) -> None:
    settings.RQ_QUEUES = {}
    assert b"No queue is configured" in viewer.get(LIST).content


def test_unknown_queues_and_verbs_are_404(operator: Client) -> None:
    assert operator.get(reverse("admin:jobs_queuepause_change", args=["a/b"])).status_code == 404
    assert operator.get(act("pause", "nothing")).status_code == 404
    assert operator.get(act("explode")).status_code == 404


def test_one_queue_shows_its_day_its_fuses_and_who_paused_it(
    viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    sampled(90)
    run = a_run("queued")
    fuse = fuses.add("tests.sample.add", reason="it loops", actor="ann")
    lane = keys.fuse_lane(fuse.pk, "default")
    redis().rpush(keys.lane(lane), run.rq_id)
    pause(until=timezone.now() + timedelta(hours=1))
    content = viewer.get(ONE).content
    assert_strict(content)
    page = content.decode()
    assert "<svg" in page
    assert "Waiting runs, last 24 hours" in page
    assert "tests.sample.add" in page
    assert "Paused by ann" in page
    assert "&lt;b&gt;the partner" in page
    assert "It ends by itself" in page


@pytest.mark.usefixtures("no_redis")
def test_without_redis_numbers_are_unknown_pausing_is_stored_and_clearing_is_not(operator: Client) -> None:
    for address in (LIST, ONE):
        page = operator.get(address).content.decode()
        assert "Redis does not answer" in page
        assert "unknown" in page
    assert b"cannot be discarded until it is back" in operator.get(act("clear")).content
    assert "does not answer" in told(operator.post(act("clear"), {"typed": "default", "reason": "x"}))[0]
    operator.post(act("pause"), {"reason": "x"})
    assert QueuePause.objects.count() == 1


def test_pages_ask_few_questions_and_change_nothing(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    sampled(24 * 60)
    pause()
    before = redis().dbsize(), AuditEntry.objects.count()
    for address in (LIST, ONE):
        with django_assert_max_num_queries(15):
            assert viewer.get(address).status_code == 200
        assert viewer.head(address).status_code == 200
    assert (redis().dbsize(), AuditEntry.objects.count()) == before

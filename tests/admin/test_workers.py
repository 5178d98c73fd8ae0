from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import workers
from jobs.broker import fleet
from jobs.models import AuditEntry, WorkerProcess
from tests import engine
from tests.sample.jobs import add
from tests.workers.test_fleet import SUPERVISOR, a_process, a_supervisor

LIST = reverse("admin:jobs_workerprocess_changelist")


def act(name: str, **words: str) -> str:
    return f"{reverse('admin:jobs_workerprocess_act', args=[name])}?" + "&".join(f"{k}={v}" for k, v in words.items())


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    for address in (LIST, act("quiet", host="web1"), act("stop", host="web1")):
        assert stranger.get(address).status_code == 403


def test_where_nobody_works_it_says_how_to_start_one(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    content = viewer.get(LIST).content
    assert_strict(content)
    assert b"No live worker" in content
    assert b"rqworker" in content


@pytest.mark.django_db(transaction=True)
def test_hosts_processes_and_their_runs_are_shown(
    viewer: Client, assert_strict: Callable[[bytes], None], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    add.enqueue(1, 2)
    a_supervisor()
    a_process(busy=1)
    held = engine.claim()
    with django_assert_max_num_queries(15):
        content = viewer.get(LIST).content
    assert_strict(content)
    page = content.decode()
    assert "1 of 10" in page
    assert "r1" in page
    assert reverse("admin:jobs_jobrun_change", args=[uuid.UUID(held[0].run_id)]) in page
    assert "/quiet/" not in page


def test_skew_between_releases_is_told(viewer: Client) -> None:
    a_process()
    assert b"different releases" not in viewer.get(LIST).content
    a_process("other", "other/2-beef", release="r2")
    assert b"different releases" in viewer.get(LIST).content


def test_an_operator_asks_and_sees_that_it_was_asked(operator: Client) -> None:
    a_supervisor()
    a_process()
    assert b"claim no more?" in operator.get(act("quiet", supervisor=SUPERVISOR)).content
    answer = operator.post(act("quiet"), {"supervisor": SUPERVISOR, "reason": "it swaps"})
    assert "1 supervisor was asked" in str(*get_messages(answer.wsgi_request))
    assert b"quiet asked" in operator.get(LIST).content
    a_supervisor(state="quiet")
    assert b"quiet asked" not in operator.get(LIST).content


def test_a_whole_host_is_stopped_with_a_reason(operator: Client) -> None:
    a_supervisor("one", "web1")
    a_supervisor("two", "web1")
    assert b"Write down why" in operator.post(act("stop"), {"host": "web1"}).content
    operator.post(act("stop"), {"host": "web1", "reason": "it goes"})
    assert {one.asked for one in fleet.look().supervisors} == {"stop"}
    assert AuditEntry.objects.get().target == "host web1"


def test_who_may_not_is_refused_and_that_is_recorded(viewer: Client) -> None:
    a_supervisor()
    for name in ("quiet", "stop"):
        assert viewer.post(act(name), {"supervisor": SUPERVISOR, "reason": "x"}).status_code == 403
    assert AuditEntry.objects.filter(outcome="refused").count() == 2
    assert fleet.look().supervisors[0].asked == ""


def test_nobody_there_is_said(operator: Client) -> None:
    assert b"nobody can be asked" in operator.get(act("stop", host="web9")).content
    answer = operator.post(act("stop"), {"host": "web9", "reason": "x"})
    assert "no live host web9" in str(*get_messages(answer.wsgi_request))
    assert operator.get(act("explode", host="web1")).status_code == 404


def test_without_redis_the_last_beats_are_shown_and_nobody_can_be_asked(operator: Client, settings: Any) -> None:
    a_supervisor()
    a_process(busy=3)
    workers.note()
    WorkerProcess.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    away = {name: {**options, "URL": "redis://127.0.0.1:1/0"} for name, options in settings.RQ_QUEUES.items()}
    settings.RQ_QUEUES = away
    page = operator.get(LIST).content.decode()
    assert "how workers were last stored" in page
    assert "3 of 10" in page
    assert "/stop/" not in page
    answer = operator.post(act("stop"), {"host": "web1", "reason": "x"})
    assert "does not answer" in str(*get_messages(answer.wsgi_request))

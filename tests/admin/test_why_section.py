"""A run's page begins with why it is not running."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import at_once, queues
from jobs.models import JobRun, RunState
from jobs.registry import Job
from jobs.relay import relay
from tests.admin.rows import a_dead_job, a_run
from tests.engine import claim, make_job

__all__ = ["make_job"]


def _do(customer: int = 0) -> None: ...


@pytest.fixture
def sync(make_job) -> Job:
    return make_job(_do, "tests.sync", limits=[at_once(1, key="customer")])


def page(run: Any) -> str:
    return reverse("admin:jobs_jobrun_change", args=[run.pk])


def pushed(job: Any, *arguments: Any) -> JobRun:
    run = job.enqueue(*arguments)
    relay(min_age=None)
    return JobRun.objects.get(pk=run.id)


def test_the_reason_stands_on_top_with_its_evidence_and_a_link_to_what_helps(
    viewer: Client, make_job, assert_strict: Callable[[bytes], None]
) -> None:
    queues.pause("default", actor="ada", reason="<b>a move</b>")
    run = pushed(make_job(_do, "tests.do"))
    answer = viewer.get(page(run))
    content = answer.content.decode()
    assert "Why isn&#x27;t it running?" in content
    section = content.partition('id="jobs-why"')[2].partition("</section>")[0]
    assert 'data-why="paused"' in section
    assert "<strong>The queue is paused.</strong> default was paused by ada: &lt;b&gt;a move&lt;/b&gt;." in section
    assert reverse("admin:jobs_queuepause_changelist") in section
    assert "<time" in section
    assert 'data-refresh="5"' in section
    assert_strict(answer.content)


def test_who_holds_the_place_is_linked(viewer: Client, sync: Job) -> None:
    holder, waiting = pushed(sync, 7), pushed(sync, 7)
    claim(5)
    content = viewer.get(page(waiting)).content.decode()
    assert 'data-why="slot"' in content
    assert content.count(page(holder)) == 1
    assert 'data-why="running"' in viewer.get(page(holder)).content.decode()


def test_what_has_ended_says_how_and_is_asked_for_no_more(viewer: Client) -> None:
    content = viewer.get(page(a_dead_job().run)).content.decode()
    assert 'data-why="dead"' in content
    assert "Why isn" not in content
    assert "data-refresh" not in content.partition('id="jobs-why"')[2].partition("</section>")[0]
    assert 'data-why="ended"' in viewer.get(page(a_run())).content.decode()


def test_without_redis_the_page_says_what_was_not_looked_at(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    away = {name: {**options, "URL": "redis://127.0.0.1:1/0"} for name, options in settings.RQ_QUEUES.items()}
    run = a_run(RunState.SCHEDULED, attempts=0, due_at=timezone.now() + timedelta(hours=1))
    monkeypatch.setattr(settings, "RQ_QUEUES", away)
    content = viewer.get(page(run)).content.decode()
    section = content.partition('id="jobs-why"')[2].partition("</section>")[0]
    assert 'data-why="redis-away"' in section
    assert "Due later" in section
    assert "Not looked at, for Redis does not answer: Not pushed yet; No live worker;" in section


def test_the_question_takes_few_queries(viewer: Client, sync: Job, django_assert_max_num_queries: Any) -> None:
    run = [pushed(sync, 7) for _ in range(3)][-1]
    claim(1)
    viewer.get(page(run))
    with django_assert_max_num_queries(15):
        viewer.get(page(run))

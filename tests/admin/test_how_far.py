"""The run's page shows how far it is, and what it has done step by step."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs.broker.connection import client as broker
from jobs.models import JobProgress, JobRun, JobStep
from jobs.policy.progress import Progress
from tests.admin.rows import a_run

Strict = Callable[[bytes], None]


def page(client: Client, run: JobRun) -> bytes:
    return client.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content


def lives(run: JobRun, told: Progress) -> None:
    """The run's hash says so, as its worker has told."""
    broker().hset(f"rq:job:{run.pk}", "progress", told.dump())


def a_step(run: JobRun, name: str, **facts: object) -> JobStep:
    given = {"attempt": 1, "run_ms": 12, "done_at": timezone.now(), **facts}
    return JobStep.objects.create(run=run, name=name, **given)


def test_a_run_that_runs_shows_a_bar_its_rate_and_what_is_left(viewer: Client, assert_strict: Strict) -> None:
    run = a_run("running")
    lives(run, Progress(700, 1000, "customers", "", 12.0, timezone.now().timestamp()))
    content = page(viewer, run)
    assert_strict(content)
    assert b'<progress max="1000" value="700"' in content
    assert b"700 of 1,000 (70 %)</strong> \xc2\xb7 12/s \xc2\xb7 about 25 s left" in content
    assert b"customers" in content
    assert b'id="jobs-how-far" class="jobs-how-far" data-refresh="2"' in content


def test_a_run_that_died_shows_how_far_it_came_and_does_not_look_again(viewer: Client, assert_strict: Strict) -> None:
    run = a_run("dead")
    JobProgress.objects.create(run=run, done=700, total=1000, reported_at=timezone.now() - timedelta(days=2))
    content = page(viewer, run)
    assert_strict(content)
    assert b"700 of 1,000 (70 %)" in content
    assert b"left</p>" not in content
    assert b"data-refresh" not in content


def test_a_page_with_a_form_is_not_loaded_anew_while_somebody_types(operator: Client) -> None:
    """What waits can be run now, with a reason; only what has no field is shown anew, as why it waits is."""
    run = a_run("retrying", due_at=timezone.now() + timedelta(hours=1))
    lives(run, Progress(700, 1000, "", "", 12.0, timezone.now().timestamp()))
    content = page(operator, run)
    assert b'name="reason"' in content
    anew = re.findall(rb"<section[^>]*data-refresh.*?</section>", content, re.DOTALL)
    assert len(anew) == content.count(b"data-refresh")
    assert not re.search(rb"<(?:form|input|select|textarea)", b"".join(anew))
    assert b"12/s" not in content


def test_a_total_that_nobody_knows_has_a_bar_without_an_end(viewer: Client, assert_strict: Strict) -> None:
    run = a_run("running")
    lives(run, Progress(70, None, "<b>", "", None, timezone.now().timestamp()))
    content = page(viewer, run)
    assert_strict(content)
    assert b'<progress aria-label="Progress, of an unknown total"></progress>' in content
    assert b"&lt;b&gt;" in content


def test_a_run_that_says_nothing_has_no_bar_and_no_steps(viewer: Client) -> None:
    content = page(viewer, a_run("running"))
    assert b"<progress" not in content
    assert b"Steps" not in content


def test_steps_are_shown_in_their_order_with_their_results_masked(viewer: Client, assert_strict: Strict) -> None:
    run = a_run("retrying")
    a_step(run, "charge", result={"id": 7, "card_token": "tok_live"})
    a_step(run, "mail <b>", problem="result is a set")
    content = page(viewer, run)
    assert_strict(content)
    assert content.index(b"charge</th>") < content.index(b"mail &lt;b&gt;</th>")
    assert b"tok_live" not in content
    assert b"[redacted]" in content
    assert b"result is a set" in content


@pytest.mark.django_db
def test_of_very_many_steps_the_latest_are_shown(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = a_run("running")
    for number in range(52):
        a_step(run, f"step-{number}", done_at=timezone.now() + timedelta(seconds=number))
    with django_assert_max_num_queries(20):
        content = page(viewer, run)
    assert b"There are more" in content
    assert b"step-1<" not in content
    assert b"step-51<" in content

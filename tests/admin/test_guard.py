"""django-rq's own pages, under the console's permissions. RQ is spoken to as django-rq does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_rq
import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django_rq.models import Dashboard
from rq.job import Job
from rq.registry import FailedJobRegistry

from jobs import job
from jobs.models import AuditEntry, RunState
from tests.admin.rows import a_run

QUEUE = sorted(settings.RQ_QUEUES).index("default")
LIST = reverse("admin:django_rq_dashboard_changelist")


@job(name="tests.look_at")
def look_at(order_id: int) -> None:
    """A job to be looked at."""


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:django_rq_{name}", args=args)


def a_message(job_id: str = "foreign-1") -> Job:
    """A job in RQ's queue that no row tells of."""
    queue = django_rq.get_queue("default", commit_mode="auto")
    return queue.enqueue_call("shop.jobs.foreign", args=("tok_live_4242",), job_id=job_id)


READS = ["jobs", "queue_details", "finished_jobs", "failed_jobs", "scheduled_jobs", "started_jobs", "deferred_jobs"]
ON_QUEUES = ["clear", "requeue_all", "delete_failed_jobs", "confirm_action", "actions"]
ON_JOBS = ["delete_job", "requeue_job", "enqueue_job", "stop_job"]


@pytest.mark.parametrize("name", [*READS, "workers", *ON_QUEUES])
def test_without_the_permission_no_page_opens(stranger: Client, name: str) -> None:
    assert stranger.get(page(name, QUEUE)).status_code == 403


@pytest.mark.parametrize("address", [LIST, page("home"), page("home_json")])
def test_without_the_permission_no_overview_opens(stranger: Client, address: str) -> None:
    assert stranger.get(address).status_code in (401, 403)


def test_who_is_not_logged_in_is_sent_to_log_in(client: Client) -> None:
    assert client.get(page("jobs", QUEUE)).status_code == 302
    assert client.post(page("clear", QUEUE)).status_code == 302


@pytest.mark.parametrize("name", [*READS, "workers"])
def test_a_viewer_may_look(viewer: Client, name: str) -> None:
    a_message()
    assert viewer.get(page(name, QUEUE)).status_code == 200


@pytest.mark.parametrize("address", [LIST, page("home"), page("home_json")])
def test_a_viewer_may_see_the_overview(viewer: Client, address: str) -> None:
    a_message()
    assert viewer.get(address).status_code == 200


def test_nothing_leads_there(viewer: Client) -> None:
    for page in ("admin:index", "admin:jobs_jobrun_changelist", "admin:jobs_queuepause_changelist"):
        assert "django_rq" not in viewer.get(reverse(page)).content.decode()


def test_a_token_still_opens_the_overview_and_nothing_else(client: Client, settings: Any) -> None:
    settings.RQ_API_TOKEN = "s3cret"
    bearer = {"Authorization": "Bearer s3cret"}
    assert client.get(page("home_json"), headers=bearer).status_code == 200
    assert client.get(page("metrics"), headers=bearer).status_code == 404
    assert client.get(page("home_json")).status_code == 401
    assert client.get(page("jobs", QUEUE), headers=bearer).status_code == 302


@pytest.mark.parametrize("name", ON_QUEUES)
def test_what_would_change_a_queue_is_refused_and_recorded(operator: Client, name: str) -> None:
    message = a_message()
    form = {"action": "delete", "_selected_action": message.id, "job_ids": message.id}
    answer = operator.post(page(name, QUEUE), form)
    assert answer.status_code == 403
    assert b"are in the console" in answer.content
    assert django_rq.get_queue("default").job_ids == [message.id]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.outcome) == (f"django-rq {name}", "refused")


@pytest.mark.parametrize("name", ON_JOBS)
def test_what_would_change_a_job_is_refused_and_recorded(operator: Client, name: str) -> None:
    message = a_message()
    assert operator.post(page(name, QUEUE, message.id)).status_code == 403
    assert operator.get(page(name, QUEUE, message.id)).status_code == 403
    assert django_rq.get_queue("default").job_ids == [message.id]
    assert AuditEntry.objects.count() == 1


def test_every_page_of_django_rq_is_known_to_the_guard() -> None:
    """A new one is refused until somebody has looked at it."""
    patterns = admin.site.get_model_admin(Dashboard).get_urls()
    names = {pattern.name.removeprefix("django_rq_") for pattern in patterns if pattern.name}
    names = {name for name in names if not name.startswith("dashboard_")}
    looks = {"home", "home_json", "metrics", "job_detail", "result_detail", "workers", "worker_details"}
    looks |= {"scheduler_jobs", "cron_scheduler_detail", "cron_job_detail", *READS}
    assert names == looks | set(ON_QUEUES) | set(ON_JOBS)


def test_a_job_of_ours_opens_our_page_which_masks(viewer: Client) -> None:
    run = a_run(RunState.QUEUED)
    a_message(str(run.pk))
    answer = viewer.get(page("job_detail", QUEUE, str(run.pk)))
    assert answer.headers["Location"] == reverse("admin:jobs_jobrun_change", args=[run.pk])


@pytest.mark.parametrize(
    "address",
    [
        page("jobs", 99),
        page("jobs", int("9" * 30)),
        page("workers", 99),
        page("worker_details", QUEUE, "rq:worker:gone"),
        page("worker_details", QUEUE, "k"),
        page("job_detail", QUEUE, "gone"),
        page("jobs", QUEUE) + "%ff/",
        page("jobs", QUEUE) + "%00/",
        page("result_detail", QUEUE, "gone", "1-1"),
        page("scheduler_jobs", 0),
        page("scheduler_jobs", int("9" * 30)),
        page("cron_scheduler_detail", 0, "gone"),
        page("cron_scheduler_detail", int("9" * 30), "gone"),
        page("cron_job_detail", int("9" * 30), "gone", "gone"),
    ],
)
def test_what_is_not_there_is_not_found(operator: Client, address: str) -> None:
    assert operator.get(address).status_code == 404


def test_a_foreign_job_shows_its_arguments_to_who_may_see_payloads(viewer: Client, operator: Client) -> None:
    message = a_message()
    assert viewer.get(page("job_detail", QUEUE, message.id)).status_code == 403
    assert b"tok_live_4242" in operator.get(page("job_detail", QUEUE, message.id)).content


def test_a_job_that_failed_long_ago_survives_a_look_at_the_overview(viewer: Client) -> None:
    """django-rq's front page cleans RQ's registries on each look; ours does not."""
    message = a_message()
    registry = FailedJobRegistry(queue=django_rq.get_queue("default"))
    registry.connection.zadd(registry.key, {message.id: 1})
    viewer.get(LIST)
    assert registry.connection.zscore(registry.key, message.id) == 1


def test_redis_that_does_not_answer_is_said_in_words(
    viewer: Client, settings: Any, assert_strict: Callable[[bytes], None]
) -> None:
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    settings.RQ_QUEUES = {name: {**queue, "URL": settings.REDIS_URL} for name, queue in settings.RQ_QUEUES.items()}
    answer = viewer.get(LIST)
    assert answer.status_code == 503
    assert_strict(answer.content)
    assert b"does not answer" in answer.content


def test_our_jobs_are_shown_as_rq_shows_its_own(
    viewer: Client, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        look_at.enqueue(42)
    assert look_at.name in viewer.get(page("jobs", QUEUE)).content.decode()
    assert f'<a href="{page("jobs", QUEUE)}">1</a>' in viewer.get(LIST).content.decode()

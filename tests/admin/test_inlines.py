"""The page of an object in the admin shows the runs about it, and lets operators retry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from jobs.admin.inlines import JobsInline
from jobs.models import AuditEntry, JobRun, RunState
from tests.admin.rows import a_dead_job, a_run


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> Group:
    """An object of an app that knows nothing of jobs but one line."""
    monkeypatch.setattr(admin.site._registry[Group], "inlines", (JobsInline,))
    return Group.objects.create(name="packers")


@pytest.fixture
def staff(person: Callable[..., Client]) -> Callable[..., Client]:
    """Somebody who may change groups, and has these permissions of jobs."""

    def make(*permissions: str) -> Client:
        client = person(*permissions)
        user = User.objects.get(pk=client.session["_auth_user_id"])
        user.user_permissions.add(*Permission.objects.filter(codename__in=("change_group", "view_group")))
        return client

    return make


def page_of(team: Group) -> str:
    return reverse("admin:auth_group_change", args=[team.pk])


def subject(team: Group) -> str:
    return f"auth.group:{team.pk}"


def retry(run: JobRun, **asked: Any) -> str:
    words = "&".join(f"{name}={value}" for name, value in asked.items())
    return f"{reverse('admin:jobs_jobrun_retry', args=[run.pk])}?{words}"


def test_the_page_shows_what_was_done_and_offers_to_retry(team: Group, staff: Callable[..., Client]) -> None:
    done = a_run(name="shop.charge_order", subject=subject(team))
    failed = a_dead_job(name="shop.send_letter", subject=subject(team)).run
    a_run(name="shop.of_another", subject="auth.group:0")
    content = staff("view_console", "requeue_job").get(page_of(team)).content.decode()
    assert "charge order" in content
    assert reverse("admin:jobs_jobrun_change", args=[done.pk]) in content
    assert "send letter" in content
    assert "failed, and given up" in content
    assert "GatewayDown: &lt;b&gt;503&lt;/b&gt; from the gateway" in content
    assert "of another" not in content
    assert content.count('formmethod="post"') == 1
    assert retry(failed, life=0).partition("?")[0] in content


def test_who_may_only_look_gets_no_button(team: Group, staff: Callable[..., Client]) -> None:
    a_dead_job(subject=subject(team))
    content = staff("view_console").get(page_of(team)).content.decode()
    assert "failed, and given up" in content
    assert 'formmethod="post"' not in content


def test_who_may_not_open_the_console_sees_nothing(team: Group, staff: Callable[..., Client]) -> None:
    a_dead_job(subject=subject(team))
    content = staff().get(page_of(team)).content.decode()
    assert "packers" in content
    assert "jobs_runs-group" not in content


def test_an_object_without_runs_says_so(team: Group, staff: Callable[..., Client]) -> None:
    assert "No run is about this object" in staff("view_console").get(page_of(team)).content.decode()


def test_the_object_can_be_saved_as_ever(team: Group, staff: Callable[..., Client]) -> None:
    a_run(subject=subject(team))
    answer = staff("view_console").post(page_of(team), {"name": "loaders"})
    assert answer.status_code == 302
    team.refresh_from_db()
    assert team.name == "loaders"


def test_a_retry_comes_back_to_the_object(team: Group, staff: Callable[..., Client]) -> None:
    run = a_dead_job(subject=subject(team)).run
    answer = staff("view_console", "requeue_job").post(
        retry(run, life=0, back=page_of(team)), {"name": "edited", "reason": "the form's own"}
    )
    assert answer.status_code == 302
    assert answer["Location"] == page_of(team)
    assert JobRun.objects.get(pk=run.pk).state == RunState.QUEUED
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("requeue", str(run.pk), "")


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "evil", ""])
def test_a_retry_leads_nowhere_else(staff: Callable[..., Client], back: str) -> None:
    run = a_dead_job().run
    answer = staff("view_console", "requeue_job").post(retry(run, life=0, back=back))
    assert answer["Location"] == reverse("admin:jobs_jobrun_change", args=[run.pk])


def test_a_retry_of_an_old_page_touches_no_later_life(staff: Callable[..., Client]) -> None:
    run = a_dead_job(life=1).run
    assert staff("view_console", "requeue_job").post(retry(run, life=0)).status_code == 404
    assert JobRun.objects.get(pk=run.pk).state == RunState.DEAD


def test_who_may_not_retry_is_refused_and_written_down(staff: Callable[..., Client]) -> None:
    run = a_dead_job().run
    assert staff("view_console").post(retry(run, life=0)).status_code == 403
    assert AuditEntry.objects.get().outcome == "refused"
    assert JobRun.objects.get(pk=run.pk).state == RunState.DEAD


def test_looking_retries_nothing(staff: Callable[..., Client]) -> None:
    run = a_dead_job().run
    assert staff("view_console", "requeue_job").get(retry(run, life=0)).status_code == 302
    assert JobRun.objects.get(pk=run.pk).state == RunState.DEAD


def test_many_runs_take_no_more_queries(
    team: Group, staff: Callable[..., Client], django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        a_run(subject=subject(team), age=timedelta(minutes=number))
    client = staff("view_console")
    client.get(page_of(team))
    with django_assert_max_num_queries(12):
        assert "There are more" in client.get(page_of(team)).content.decode()


def test_the_link_to_all_runs_finds_them(team: Group, staff: Callable[..., Client]) -> None:
    for _number in range(52):
        a_run(name="shop.of_this", subject=subject(team))
    a_run(name="shop.of_another", subject="auth.group:0")
    client = staff("view_console")
    content = client.get(page_of(team)).content.decode()
    address = content.partition("these are the latest.")[2].partition('href="')[2].partition('"')[0]
    found = client.get(address).content.decode().partition("<table")[2]
    assert "shop.of_this" in found
    assert "shop.of_another" not in found

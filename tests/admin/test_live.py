"""What a page's script is answered: the parts that go on, or that nothing has changed."""

from __future__ import annotations

import re

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from jobs.admin import shell
from jobs.models import Batch
from tests.admin.rows import a_run

BATCHES = reverse("admin:jobs_batch_changelist")
SHELL = reverse("admin:jobs_overview_shell")


def look(client: Client, address: str = SHELL, parts: str = "jobs-shell", tag: str = "") -> HttpResponse:
    return client.get(address, headers={"Jobs-Live": parts, "If-None-Match": tag})


@pytest.fixture
def batch() -> Batch:
    return Batch.objects.create(name="letters", total=2)


@pytest.mark.usefixtures("batch")
def test_a_page_answers_its_script_with_its_live_parts_alone(viewer: Client) -> None:
    answer = look(viewer, BATCHES, "jobs-live jobs-shell")
    page = answer.content.decode()
    assert answer["Jobs-Live"] == "1"
    assert 'id="jobs-live"' in page
    assert 'id="jobs-shell"' in page
    assert "<html" not in page
    assert "<h1" not in page


def test_what_has_not_changed_is_not_sent_again(viewer: Client) -> None:
    first = look(viewer)
    same = look(viewer, tag=first["ETag"])
    assert (same.status_code, same.content) == (304, b"")
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\+00:00", same["Jobs-Recorded"])
    a_run("running")
    shell.forget()
    assert look(viewer, tag=first["ETag"]).status_code == 200


def test_the_clock_and_how_long_ago_are_no_change(
    viewer: Client, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look(viewer, BATCHES, "jobs-live jobs-shell")
    monkeypatch.setattr("jobs.templatetags.jobs_console.relative", lambda at: "a while ago")
    shell.forget()
    assert look(viewer, BATCHES, "jobs-live jobs-shell", first["ETag"]).status_code == 304


@pytest.mark.usefixtures("batch")
def test_a_part_that_the_page_does_not_have_is_looked_for_in_the_whole_of_it(viewer: Client) -> None:
    answer = look(viewer, BATCHES, "jobs-gone")
    assert "Jobs-Live" not in answer
    assert b"<h1>Batches</h1>" in answer.content


def test_without_the_permission_a_script_is_told_no_more(stranger: Client) -> None:
    answer = look(stranger)
    assert answer.status_code == 403
    assert b"Recorded up to" not in answer.content


def test_times_say_when_by_the_servers_clock_and_by_utc(viewer: Client) -> None:
    run = a_run()
    page = viewer.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content.decode()
    at = run.created_at
    assert f'<time datetime="{at.isoformat()}" title="{at:%Y-%m-%d %H:%M:%S} UTC" data-local>' in page
    assert f'<span class="jobs-ago" data-at="{at.isoformat()}">5 min ago</span>' in page


def test_the_newest_runs_are_shown_anew_and_known_by_their_ids(viewer: Client) -> None:
    run = a_run()
    page = look(viewer, reverse("admin:jobs_jobrun_changelist"), "jobs-list jobs-shell").content.decode()
    assert f'<tr data-key="{run.pk}">' in page
    assert "<h1" not in page

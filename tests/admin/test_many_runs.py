"""All runs that a search matches are cancelled, or run now, in the background, after a look at what that means."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import bulk
from jobs.models import AuditEntry, BulkAction, JobRun
from tests.admin.rows import a_dead_job, a_run
from tests.admin.test_dead_jobs import form_of, told

LIST = reverse("admin:jobs_jobrun_changelist")
CANCEL = reverse("admin:jobs_jobrun_many", args=["cancel"])
RUN_NOW = reverse("admin:jobs_jobrun_many", args=["run-now"])


@pytest.fixture
def waiting() -> None:
    for _number in range(3):
        a_run("scheduled", name="tests.later", due_at=timezone.now() + timedelta(hours=1))
    a_run("queued", name="tests.later")
    a_run("succeeded", name="tests.later")
    a_run("queued", name="tests.other")


def work_off() -> BulkAction:
    action = BulkAction.objects.get()
    while bulk.turn(action.pk) is not None:
        pass
    action.refresh_from_db()
    return action


def test_a_narrowed_list_offers_what_may_be_done(waiting: None, operator: Client, viewer: Client) -> None:
    assert b"Cancel all" not in operator.get(LIST).content
    content = operator.get(f"{LIST}?job=tests.later").content
    assert b"Cancel all" in content
    assert b"Run all now" in content
    assert b"Cancel all" not in viewer.get(f"{LIST}?job=tests.later").content


def test_the_preview_counts_what_waits_and_changes_nothing(
    waiting: None, operator: Client, assert_strict: Callable[[bytes], None]
) -> None:
    answer = operator.get(f"{CANCEL}?job=tests.later")
    content = answer.content.decode()
    assert_strict(answer.content)
    assert form_of(answer)["count"] == ["4"]
    assert '<td class="jobs-number" data-label="Count">3</td><th scope="row">tests.later</th>' in content
    assert not AuditEntry.objects.exists()


def test_all_that_wait_and_match_are_cancelled(waiting: None, operator: Client) -> None:
    form = {**form_of(operator.get(f"{CANCEL}?job=tests.later")), "reason": "asked for twice"}
    a_run("queued", name="tests.later")
    operator.post(CANCEL, form)
    action = work_off()
    assert (action.verb, action.done, action.total) == ("cancel", 4, 4)
    assert JobRun.objects.filter(state="cancelled").count() == 4
    assert JobRun.objects.filter(name="tests.later", state="queued").count() == 1
    assert AuditEntry.objects.get(action="cancel").filter == {"bulk action": action.pk, "search": "job:tests.later"}
    assert b"search: job:tests.later" in operator.get(reverse("admin:jobs_bulkaction_change", args=[action.pk])).content


def test_all_that_are_due_later_run_now(waiting: None, operator: Client) -> None:
    form = form_of(operator.get(f"{RUN_NOW}?job=tests.later"))
    operator.post(RUN_NOW, form)
    again = operator.post(RUN_NOW, form)
    assert told(again)[-1].startswith("This was already queued")
    assert work_off().done == 3
    assert not JobRun.objects.filter(due_at__gt=timezone.now()).exists()


def test_to_cancel_wants_a_reason_and_of_many_the_number(waiting: None, operator: Client) -> None:
    form = form_of(operator.get(f"{CANCEL}?job=tests.later"))
    assert b"Write down why" in operator.post(CANCEL, form).content
    for _number in range(20):
        a_run("queued", name="tests.later")
    form = {**form_of(operator.get(f"{CANCEL}?job=tests.later")), "reason": "asked for twice"}
    assert b"Type the number 24" in operator.post(CANCEL, {**form, "typed": "23"}).content
    assert not BulkAction.objects.exists()
    operator.post(CANCEL, {**form, "typed": "24"})
    assert BulkAction.objects.get().total == 24


def test_a_search_that_names_nothing_means_nothing(waiting: None, operator: Client) -> None:
    assert b"Search for something first" in operator.get(CANCEL).content
    form = {"reason": "x", "count": "6", "up_to": str(JobRun.objects.latest("pk").pk)}
    assert b"Search for something first" in operator.post(CANCEL, form).content
    assert b"No run matches with which" in operator.get(f"{CANCEL}?state=nonsense").content
    assert not BulkAction.objects.exists()


@pytest.mark.parametrize(("address", "permission"), [(CANCEL, "reschedule_job"), (RUN_NOW, "cancel_job")])
def test_each_is_refused_without_its_own_permission_and_that_is_recorded(
    waiting: None, person: Callable[..., Client], address: str, permission: str
) -> None:
    client = person("view_console", permission)
    assert client.get(f"{address}?job=tests.later").status_code == 403
    assert client.post(address, {"job": "tests.later", "reason": "x"}).status_code == 403
    assert AuditEntry.objects.get().outcome == "refused"
    assert not BulkAction.objects.exists()


def test_what_is_not_there_is_not_found(operator: Client) -> None:
    assert operator.get(reverse("admin:jobs_jobrun_many", args=["explode"])).status_code == 404


def test_those_that_were_ticked_are_meant_and_the_others_are_told(waiting: None, operator: Client) -> None:
    ticked = [run.pk for run in JobRun.objects.filter(name="tests.later")]
    preview = operator.get(CANCEL, {"chosen": "1", "id": ticked})
    assert form_of(preview)["count"] == ["4"]
    assert b"Left alone:" in preview.content
    operator.post(CANCEL, {**form_of(preview), "reason": "by hand"})
    assert work_off().done == 4
    assert JobRun.objects.filter(state="cancelled").count() == 4
    assert AuditEntry.objects.get(action="cancel").filter["chosen"] == 5
    assert b"tick the ones you mean" in operator.get(CANCEL, {"chosen": "1"}).content


@pytest.mark.parametrize(("name", "state"), [("retry", "queued"), ("discard", "discarded")])
def test_dead_ones_among_those_that_match_are_retried_or_discarded(operator: Client, name: str, state: str) -> None:
    address = reverse("admin:jobs_jobrun_many", args=[name])
    for _number in range(2):
        a_dead_job(name="tests.gone")
    a_run("queued", name="tests.gone")
    form = {**form_of(operator.get(f"{address}?q=job:tests.gone")), "reason": "the gateway is back"}
    late = a_dead_job(name="tests.gone").run
    operator.post(address, form)
    assert work_off().done == 2
    assert JobRun.objects.filter(name="tests.gone", state="dead").get() == late
    entry = AuditEntry.objects.get(action={"retry": "requeue"}.get(name, name))
    assert entry.filter["search"] == "job:tests.gone"


def test_what_comes_of_age_after_the_preview_stays_out(operator: Client) -> None:
    old, young = a_run("queued", age=timedelta(minutes=70)), a_run("queued", age=timedelta(minutes=62))
    form = form_of(operator.get(f"{CANCEL}?q=before:1h"))
    five_minutes_ago = (timezone.now() - timedelta(minutes=5)).isoformat()
    operator.post(CANCEL, {**form, "as_of": five_minutes_ago, "reason": "old"})
    work_off()
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.state, young.state) == ("cancelled", "queued")


def test_a_person_asks_for_so_many_bulk_actions_a_minute(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.bulk.pace.PER_MINUTE", 2)
    for number in range(3):
        a_run("queued", name=f"tests.n{number}")
        form = {**form_of(operator.get(f"{CANCEL}?q=job:tests.n{number}")), "reason": "x"}
        answer = operator.post(CANCEL, form)
    assert "2 bulk actions within a minute, and 2 are allowed" in told(answer)[-1]
    assert BulkAction.objects.count() == 2
    assert AuditEntry.objects.latest("pk").outcome == "refused"
    BulkAction.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    operator.post(CANCEL, form)
    assert BulkAction.objects.count() == 3

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import bulk, dead, discards
from jobs.admin import keyset, undoing
from jobs.models import AuditEntry, BulkAction, DeadJob, JobRun, RunState
from jobs.models.bulk import BulkVerb
from tests.admin.rows import a_dead_job, a_run

LIST = reverse("admin:jobs_deadjob_changelist")
RETRY = reverse("admin:jobs_deadjob_bulk", args=["retry"])
DISCARD = reverse("admin:jobs_deadjob_bulk", args=["discard"])


def shown(client: Client, query: str = "") -> list[str]:
    """The names of the dead jobs that a list shows, in its order."""
    content = client.get(f"{LIST}?{query}").content.decode()
    return re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', content)


def form_of(answer: HttpResponse) -> dict[str, list[str]]:
    """The hidden fields of a confirmation page, as a browser would send them back."""
    form = answer.content.decode().partition('class="jobs-confirm"')[2].partition("</form>")[0]
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form):
        if name != "csrfmiddlewaretoken":
            fields.setdefault(name, []).append(value)
    return fields


def told(answer: HttpResponse) -> list[str]:
    """The messages that an answer leaves for the next page."""
    return [str(message) for message in get_messages(answer.wsgi_request)]


def states() -> dict[str, str]:
    return dict(JobRun.objects.values_list("name", "state"))


# The list.


@pytest.mark.parametrize("address", [LIST, RETRY, DISCARD])
def test_without_the_permission_no_page_opens(stranger: Client, address: str) -> None:
    assert stranger.get(address).status_code == 403


def test_an_empty_list_says_so(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b"Nothing waits for a decision" in answer.content
    assert b"Last one" not in answer.content
    assert b"No dead job matches" in viewer.get(f"{LIST}?error=x").content


def test_an_empty_list_says_when_the_last_one_died(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    a_dead_job(died=timedelta(days=3, minutes=1))
    DeadJob.objects.update(resolution="discarded", resolved_at=timezone.now())
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert re.search(r"Last one <span [^>]+>3 d ago</span>\.", answer.content.decode())


def test_a_viewer_sees_the_list_and_no_button(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    a_dead_job()
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b"&lt;b&gt;503&lt;/b&gt; from the gateway" in answer.content
    assert b"Retry all" not in answer.content
    assert b"Discard all" not in answer.content


def test_the_list_makes_the_same_few_queries_for_any_number(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _number in range(20):
        a_dead_job()
    # Session, user, two for permissions, the count, two for the causes, the rows, whether they are too many.
    with django_assert_max_num_queries(9):
        viewer.get(LIST)


def test_pages_go_to_older_burials(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "PAGE_SIZE", 2)
    for name in "abc":
        a_dead_job(name=f"tests.{name}")
    older = re.search(r'href="\?(older=\d+)" rel="next"', viewer.get(LIST).content.decode())
    assert older
    assert shown(viewer) == ["tests.c", "tests.b"]
    assert shown(viewer, older[1]) == ["tests.a"]


@pytest.mark.parametrize(
    "query", ["job=tests.ship", "queue=critical", "error=NoStock", "error=says+no", "older_than=2h", "death=permanent"]
)
def test_each_filter_finds_what_it_names(viewer: Client, query: str) -> None:
    a_dead_job()
    wanted = a_dead_job(died=timedelta(hours=3), name="tests.ship", queue="critical")
    DeadJob.objects.filter(pk=wanted.pk).update(
        reason="permanent", error_class="shop.NoStock", error_message="the warehouse says no"
    )
    assert shown(viewer, query) == ["tests.ship"]


def test_a_functions_bare_name_finds_the_one_job_that_has_it(viewer: Client) -> None:
    a_dead_job(name="tests.charge_order")
    a_dead_job(name="orders.charge_order")
    assert shown(viewer, "job=charge_order") == ["orders.charge_order"]
    assert b"Did you mean &quot;orders.charge_order&quot;?" in viewer.get(f"{LIST}?job=charge_ordr").content


def test_a_wrong_age_or_reason_is_answered_and_not_ignored(viewer: Client) -> None:
    a_dead_job()
    assert b"is no age" in viewer.get(f"{LIST}?older_than=old").content
    assert shown(viewer, "older_than=old") == []
    assert b"Did you mean &quot;permanent&quot;?" in viewer.get(f"{LIST}?death=permanant").content


def test_what_was_dealt_with_is_listed_apart_with_who_and_why(operator: Client) -> None:
    dead = a_dead_job(name="tests.gone")
    a_dead_job(name="tests.open")
    address = reverse("admin:jobs_jobrun_act", args=[dead.run_id, "discard"])
    operator.post(address, {"burial": dead.pk, "reason": "a test order"})
    assert shown(operator) == ["tests.open"]
    assert shown(operator, "shown=resolved") == ["tests.gone"]
    assert b"a test order" in operator.get(f"{LIST}?shown=resolved").content


# Retry and discard of many.


def test_the_preview_counts_and_changes_nothing(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    for name in ("a", "a", "b"):
        a_dead_job(name=f"tests.{name}")
    answer = operator.get(RETRY)
    content = answer.content.decode()
    assert_strict(answer.content)
    assert "Retry 3 dead jobs?" in content
    assert '<td class="jobs-number" data-label="Count">2</td><th scope="row">tests.a</th>' in content
    assert set(states().values()) == {RunState.DEAD}
    assert not AuditEntry.objects.exists()


def test_retry_all_matching_touches_only_what_matches(operator: Client) -> None:
    a_dead_job(name="tests.a")
    a_dead_job(name="tests.b")
    answer = operator.post(RETRY, {**form_of(operator.get(f"{RETRY}?job=tests.a")), "reason": "it is back"})
    assert told(answer) == ["1 dead job retried."]
    assert states() == {"tests.a": RunState.QUEUED, "tests.b": RunState.DEAD}
    entry = AuditEntry.objects.get()
    assert entry.reason == "it is back"
    assert entry.filter["job"] == "tests.a"


def test_what_dies_after_the_preview_stays_out(operator: Client) -> None:
    a_dead_job(name="tests.early")
    form = form_of(operator.get(RETRY))
    a_dead_job(name="tests.late")
    operator.post(RETRY, form)
    assert states() == {"tests.early": RunState.QUEUED, "tests.late": RunState.DEAD}


def test_what_comes_of_age_after_the_preview_stays_out(operator: Client) -> None:
    a_dead_job(name="tests.old", died=timedelta(hours=3))
    young = a_dead_job(name="tests.young", died=timedelta(minutes=59))
    form = form_of(operator.get(f"{RETRY}?older_than=1h"))
    DeadJob.objects.filter(pk=young.pk).update(died_at=young.died_at - timedelta(seconds=58))
    operator.post(RETRY, form)
    assert states() == {"tests.old": RunState.QUEUED, "tests.young": RunState.DEAD}


def test_selected_rows_alone_are_touched(operator: Client) -> None:
    chosen, *_others = [a_dead_job(name=f"tests.{name}") for name in "abc"]
    preview = operator.get(f"{DISCARD}?chosen=1&id={chosen.pk}")
    operator.post(DISCARD, {**form_of(preview), "reason": "not wanted"})
    assert states() == {"tests.a": RunState.DISCARDED, "tests.b": RunState.DEAD, "tests.c": RunState.DEAD}


def test_no_row_selected_means_none_and_not_all(operator: Client) -> None:
    a_dead_job()
    answer = operator.get(f"{DISCARD}?chosen=1")
    assert b"No row was chosen" in answer.content
    assert form_of(answer) == {}


def test_discard_wants_a_reason(operator: Client) -> None:
    a_dead_job(name="tests.a")
    answer = operator.post(DISCARD, form_of(operator.get(DISCARD)))
    assert b"Write down why" in answer.content
    assert states() == {"tests.a": RunState.DEAD}


def test_a_double_click_acts_once_and_says_so(operator: Client) -> None:
    a_dead_job()
    form = form_of(operator.get(RETRY))
    operator.post(RETRY, form)
    assert told(operator.post(RETRY, form))[1:] == ["1 was left alone: already resolved."]
    assert AuditEntry.objects.count() == 1
    assert JobRun.objects.get().life == 1


def test_what_is_left_alone_is_counted_with_its_reason(operator: Client) -> None:
    a_dead_job(name="tests.a")
    a_dead_job(name="tests.b", queue="removed")
    answer = operator.post(RETRY, form_of(operator.get(RETRY)))
    assert told(answer)[0] == "1 dead job retried."
    assert told(answer)[1].startswith("1 was left alone: its queue")


def test_one_action_touches_no_more_than_the_limit(operator: Client, jobs_settings: Callable[..., object]) -> None:
    jobs_settings(BULK_LIMIT=2)
    for name in "abc":
        a_dead_job(name=f"tests.{name}")
    preview = operator.get(RETRY)
    assert b"More match than the limit of 2" in preview.content
    operator.post(RETRY, form_of(preview))
    assert states() == {"tests.a": RunState.QUEUED, "tests.b": RunState.QUEUED, "tests.c": RunState.DEAD}


def test_a_post_that_saw_no_preview_gets_one(operator: Client) -> None:
    a_dead_job(name="tests.a")
    assert b"Discard 1 dead job?" in operator.post(DISCARD, {"reason": "x"}).content
    assert states() == {"tests.a": RunState.DEAD}


@pytest.mark.parametrize(("address", "permission"), [(RETRY, "discard_job"), (DISCARD, "requeue_job")])
def test_each_action_is_refused_without_its_own_permission_and_that_is_recorded(
    person: Callable[..., Client], address: str, permission: str
) -> None:
    a_dead_job(name="tests.a")
    client = person("view_console", permission)
    assert client.get(address).status_code == 403
    assert not AuditEntry.objects.exists()
    assert client.post(address, {"reason": "x", "up_to": "9", "as_of": "2030-01-01T00:00:00Z"}).status_code == 403
    assert AuditEntry.objects.get().outcome == "refused"
    assert states() == {"tests.a": RunState.DEAD}


def test_a_bulk_action_goes_back_inside(operator: Client) -> None:
    a_dead_job()
    form = {**form_of(operator.get(RETRY)), "next": "https://elsewhere.example", "job": "tests.charge"}
    assert operator.post(RETRY, form).headers["Location"] == LIST


# Undo.


def test_a_discard_offers_the_way_back_and_goes_it(operator: Client, viewer: Client) -> None:
    dead = a_dead_job(name="tests.gone")
    address = reverse("admin:jobs_jobrun_act", args=[dead.run_id, "discard"])
    (said,) = told(operator.post(address, {"burial": dead.pk, "reason": "a test order"}))
    undo = reverse("admin:jobs_jobrun_act", args=[dead.run_id, "undo"])
    assert f'For 7 days you can <a href="{undo}">undo it</a>.' in said
    listed = f"{LIST}?shown=discarded"
    assert undo in operator.get(listed).content.decode()
    assert undo not in viewer.get(listed).content.decode()
    assert "Undo the discard" in operator.get(reverse("admin:jobs_jobrun_change", args=[dead.run_id])).content.decode()
    assert viewer.post(undo).status_code == 403
    assert AuditEntry.objects.latest("pk").outcome == "refused"
    assert told(operator.post(undo))[-1] == "Undone: the run is dead again, and can be retried."
    assert states() == {"tests.gone": RunState.DEAD}
    assert shown(operator) == ["tests.gone"]


def test_a_discard_of_long_ago_or_by_the_job_itself_has_no_way_back(operator: Client) -> None:
    dead = a_dead_job()
    operator.post(reverse("admin:jobs_jobrun_act", args=[dead.run_id, "discard"]), {"reason": "a test order"})
    DeadJob.objects.update(resolved_at=timezone.now() - timedelta(days=8))
    for run in (dead.run, a_run("discarded")):
        assert b"Undo the discard" not in operator.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content
        undo = reverse("admin:jobs_jobrun_act", args=[run.pk, "undo"])
        assert b"This cannot be done now" in operator.get(undo).content
    assert "undo" not in operator.get(f"{LIST}?shown=discarded").content.decode().lower().partition("<tbody")[2]


def test_the_list_says_until_when_they_are_kept_and_when_they_are_too_many(
    viewer: Client, jobs_settings: Callable[..., object]
) -> None:
    a_dead_job()
    content = viewer.get(LIST).content.decode()
    assert "kept until " in content
    assert "There are more dead jobs" not in content
    jobs_settings(KEEP_DEAD=1)
    a_dead_job()
    assert "There are more dead jobs than the 1 that are kept." in viewer.get(LIST).content.decode()


UNDO = reverse("admin:jobs_deadjob_undo")


def test_many_discards_are_undone_from_their_list(
    operator: Client, viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    for name in ("a", "a", "b"):
        dead.discard(a_dead_job(name=f"tests.{name}"), actor="ann", reason="by mistake")
    assert f"{UNDO}?shown=discarded" in operator.get(f"{LIST}?shown=discarded").content.decode()
    preview = operator.get(f"{UNDO}?shown=discarded&job=tests.a")
    assert_strict(preview.content)
    assert b"Undo the discard of 2 runs?" in preview.content
    form = form_of(preview)
    assert viewer.get(UNDO).status_code == viewer.post(UNDO, form).status_code == 403
    assert set(JobRun.objects.values_list("state", flat=True)) == {RunState.DISCARDED}
    assert told(operator.post(UNDO, {**form, "reason": "a slip"})) == ["2 runs are dead again."]
    assert shown(operator) == ["tests.a", "tests.a"]
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.count, entry.reason) == ("undo discard", 2, "a slip")
    assert b"Nothing that was discarded" in operator.get(f"{UNDO}?job=tests.a").content


@pytest.mark.django_db(transaction=True)
def test_more_discards_are_undone_by_a_bulk_action(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "AT_ONCE", 1)
    for _number in range(3):
        dead.discard(a_dead_job(), actor="ann", reason="by mistake")
    operator.post(UNDO, form_of(operator.get(UNDO)))
    (action,) = BulkAction.objects.all()
    bulk.work(action.pk, rest=lambda seconds: False, tell=lambda: None)
    action.refresh_from_db()
    assert (action.verb, action.state, action.done) == ("undo", "finished", 3)
    assert set(JobRun.objects.exclude(name="jobs.run_bulk").values_list("state", flat=True)) == {RunState.DEAD}


def test_what_a_number_narrows_that_is_none_is_refused_and_not_widened(operator: Client) -> None:
    dead.discard(a_dead_job(), actor="ann", reason="by mistake")
    assert b"is no number of a bulk action" in operator.get(f"{UNDO}?bulk=3x").content
    newest = DeadJob.objects.latest("pk").pk
    operator.post(UNDO, {"bulk": "3x", "up_to": str(newest)})
    assert JobRun.objects.get().state == RunState.DISCARDED
    assert shown(operator, "shown=discarded&bulk=3x") == []


def test_a_filter_of_the_other_list_does_not_seem_to_narrow_this_one(operator: Client) -> None:
    a_dead_job(name="tests.open")
    dead.discard(a_dead_job(name="tests.gone"), actor="ann", reason="by mistake")
    page = operator.get(f"{LIST}?bulk=3").content.decode()
    assert "Retry all…" in page
    assert "Retry all matching…" not in page
    page = operator.get(f"{LIST}?shown=discarded&older_than=3d").content.decode()
    assert "Undo all…" in page
    assert "Undo all matching…" not in page


def test_the_filter_form_of_what_a_bulk_action_did_keeps_to_it(operator: Client) -> None:
    action, _ = bulk.ask(BulkVerb.DISCARD, bulk.Selection(), actor="ann", reason="old")
    dead.discard(a_dead_job(name="tests.other"), actor="ann", reason="by mistake")
    DeadJob.objects.filter(pk=a_dead_job(name="tests.mine").pk).update(
        resolution="discarded", resolved_at=timezone.now(), bulk=action
    )
    assert shown(operator, f"shown=discarded&bulk={action.pk}") == ["tests.mine"]
    page = operator.get(f"{LIST}?shown=discarded&bulk={action.pk}").content.decode()
    assert f'<input type="hidden" name="bulk" value="{action.pk}">' in page
    assert f"bulk action {action.pk}</a>" in page


def test_no_more_are_touched_than_the_preview_counted(operator: Client) -> None:
    """A discard that is undone meanwhile is open again, with the number of long ago."""
    back = a_dead_job(name="tests.back")
    dead.discard(back, actor="ann", reason="by mistake")
    a_dead_job(name="tests.shown")
    form = form_of(operator.get(RETRY))
    back.refresh_from_db()
    discards.undo(back, actor="ann")
    operator.post(RETRY, form)
    assert DeadJob.objects.filter(resolution="").count() == 1
    assert b"Retry 1 dead job?" in operator.post(RETRY, {**form, "count": "0"}).content

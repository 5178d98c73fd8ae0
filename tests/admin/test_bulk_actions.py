"""Many dead jobs are retried from the console in the background, and everybody sees how far that is."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import bulk
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry, BulkAction, DeadJob, JobRun, RunState
from jobs.models.bulk import BulkVerb
from jobs.policy.ramp import Ramp
from tests.admin.rows import a_cause, a_dead_job, a_run
from tests.admin.test_dead_jobs import DISCARD, RETRY, form_of, told

LIST = reverse("admin:jobs_bulkaction_changelist")


def page_of(action: BulkAction, handle: str = "") -> str:
    if handle:
        return reverse("admin:jobs_bulkaction_act", args=[action.pk, handle])
    return reverse("admin:jobs_bulkaction_change", args=[action.pk])


@pytest.fixture
def many() -> None:
    for _number in range(22):
        a_dead_job()


def an_action(**ramp: float) -> BulkAction:
    return bulk.ask(BulkVerb.REQUEUE, bulk.Selection(), actor="ann", reason="it is back", ramp=Ramp(**ramp))[0]


def filled(client: Client, address: str = RETRY, **fields: str) -> dict[str, object]:
    """The form as a person sends it who takes what is offered."""
    answer = client.get(address)
    inputs = re.findall(r'<input id="[^"]+" name="(\w+)" value="([^"]*)"', answer.content.decode())
    return {**form_of(answer), **dict(inputs), "typed": "22", "reason": "it is back", **fields}


# Asking.


def test_many_are_retried_in_the_background_with_a_canary(many: None, operator: Client) -> None:
    answer = operator.post(RETRY, filled(operator))
    action = BulkAction.objects.get()
    assert answer.headers["Location"] == page_of(action)
    assert told(answer) == ["It is queued: a worker does it in the background. This page shows how far it is."]
    assert (action.total, action.canary, action.rate, action.max_wait) == (22, 5, 50.0, 300.0)
    assert (action.verb, action.reason) == ("requeue", "it is back")
    assert set(JobRun.objects.filter(name="tests.charge").values_list("state", flat=True)) == {"dead"}
    assert JobRun.objects.filter(name="jobs.run_bulk").count() == 1


def test_a_second_click_says_that_it_is_queued_already(many: None, operator: Client) -> None:
    form = filled(operator)
    first = operator.post(RETRY, form)
    again = operator.post(RETRY, form)
    assert again.headers["Location"] == first.headers["Location"]
    assert told(again)[-1] == "This was already queued: nothing was asked for again."
    assert AuditEntry.objects.count() == BulkAction.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "cure"),
    [
        ({"typed": "21"}, "Type the number 22"),
        ({"typed": ""}, "Type the number 22"),
        ({"rate": "fast"}, "is no rate"),
        ({"canary": "-1"}, "is no canary"),
        ({"max_failures": "half"}, "is no share"),
        ({"max_wait": "long"}, "is no age"),
    ],
)
def test_what_is_not_understood_is_asked_again(many: None, operator: Client, fields: dict[str, str], cure: str) -> None:
    answer = operator.post(RETRY, filled(operator, **fields))
    assert cure in answer.content.decode()
    assert "it is back" in answer.content.decode()
    assert not BulkAction.objects.exists()


def test_without_canary_and_rate_some_are_retried_at_once(many: None, operator: Client) -> None:
    answer = operator.post(RETRY, filled(operator, canary="", rate=""))
    assert told(answer) == ["22 dead jobs retried."]
    assert not BulkAction.objects.exists()


def test_a_few_need_no_number_and_no_canary(operator: Client) -> None:
    a_dead_job()
    content = operator.get(RETRY).content.decode()
    assert 'name="typed"' not in content
    assert 'name="canary"' not in content


def test_very_many_are_discarded_in_the_background(
    many: None, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.admin.dead_jobs.CHUNK", 10)
    operator.post(DISCARD, filled(operator, DISCARD))
    action = BulkAction.objects.get()
    assert (action.verb, action.canary, action.rate) == ("discard", 0, None)
    while bulk.turn(action.pk) is not None:
        pass
    assert JobRun.objects.filter(state=RunState.DISCARDED).count() == 22


def test_the_question_is_frozen_as_it_was_shown(many: None, operator: Client) -> None:
    address = f"{RETRY}?job=tests.charge&older_than=30s&error=503"
    form = filled(operator, address)
    a_dead_job()
    operator.post(RETRY, form)
    words = BulkAction.objects.get().selection["words"]
    assert (words["name"], words["error"]) == ("tests.charge", "503")
    assert words["died_before"] < timezone.now().isoformat()
    assert BulkAction.objects.get().total == 22


# The pages.


def test_the_list_shows_each_action(many: None, viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    assert b"No bulk action yet" in viewer.get(LIST).content
    an_action(canary=5)
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b'<progress max="22" value="0">' in answer.content
    assert b"it is back" in answer.content


def test_a_page_shows_how_far_it_is_and_why_it_stopped(
    many: None, viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    action = an_action(canary=3)
    bulk.turn(action.pk)
    released = list(DeadJob.objects.filter(bulk=action))
    JobRun.objects.filter(pk=released[0].run_id).update(state="retrying", error_class="shop.StillDown")
    bulk.stop(action, actor="bob", reason="enough")
    answer = viewer.get(page_of(action))
    content = answer.content.decode()
    assert_strict(answer.content)
    assert '<progress max="22" value="3"' in content
    assert "Bob: enough." in content
    assert "StillDown" in content
    assert re.search(r"failed again <strong[^>]*>1</strong>", content)
    assert "This action does not try them again." in content
    assert re.search(r"waiting <strong>2</strong>", content)
    assert "data-refresh" not in content


def test_an_open_action_is_asked_for_again_by_its_page(many: None, viewer: Client) -> None:
    assert b'data-refresh="3"' in viewer.get(page_of(an_action(canary=3))).content


def test_while_redis_is_away_it_lets_none_go_and_says_so(
    many: None, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, _new = bulk.ask(BulkVerb.REQUEUE, bulk.Selection(), actor="ann", ramp=Ramp(canary=2))
    page = reverse("admin:jobs_bulkaction_change", args=[action.pk])
    assert b"paused by itself" not in viewer.get(page).content

    def refuse(*words: object) -> None:
        raise BrokerUnavailable("away")

    monkeypatch.setattr("jobs.broker.inspect.ping", refuse)
    monkeypatch.setattr("jobs.broker.inspect.waits_now", refuse)
    with pytest.raises(BrokerUnavailable):
        bulk.turn(action.pk)
    assert not DeadJob.objects.exclude(resolution="").exists()
    assert b"paused by itself: Redis does not answer" in viewer.get(page).content
    monkeypatch.undo()
    assert bulk.turn(action.pk) == 0
    assert DeadJob.objects.filter(resolution="requeued").count() == 2


def test_its_dead_jobs_are_listed(many: None, viewer: Client) -> None:
    action = an_action(canary=3)
    bulk.turn(action.pk)
    address = f"{reverse('admin:jobs_deadjob_changelist')}?shown=resolved&bulk={action.pk}"
    assert viewer.get(address).content.count(b'<th scope="row">') == 3


def test_the_pages_make_few_queries(
    many: None, operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    action = an_action(canary=20)
    bulk.turn(action.pk)
    JobRun.objects.filter(burials__bulk=action).update(state="retrying")
    with django_assert_max_num_queries(8):
        operator.get(page_of(action))
    with django_assert_max_num_queries(6):
        operator.get(LIST)


def test_a_look_changes_nothing(many: None, operator: Client) -> None:
    action = an_action(canary=3)
    for address in (LIST, page_of(action), page_of(action, "stop")):
        operator.get(address)
    action.refresh_from_db()
    assert action.state == "asked"
    assert AuditEntry.objects.count() == 1


# What can be done with it.


def test_who_may_retry_may_pause_resume_and_stop(many: None, operator: Client) -> None:
    action = an_action(canary=3)
    for handle, state in (("pause", "paused"), ("resume", "asked"), ("stop", "stopped")):
        answer = operator.post(page_of(action, handle), {"reason": "lunch"})
        assert answer.headers["Location"] == page_of(action)
        action.refresh_from_db()
        assert action.state == state
    entries = AuditEntry.objects.exclude(action="bulk requeue ask").order_by("pk")
    assert [entry.action for entry in entries] == [f"bulk requeue {name}" for name in ("pause", "resume", "stop")]
    assert {entry.reason for entry in entries} == {"lunch"}


def test_what_is_over_can_be_stopped_no_more(operator: Client) -> None:
    action = an_action()
    bulk.turn(action.pk)
    assert "is finished" in told(operator.post(page_of(action, "stop")))[0]


@pytest.mark.parametrize("handle", ["pause", "resume", "stop"])
def test_each_handle_is_refused_without_the_permission_and_that_is_recorded(
    many: None, person: Callable[..., Client], handle: str
) -> None:
    action = an_action(canary=3)
    client = person("view_console", "discard_job")
    assert "Pause" not in client.get(page_of(action)).content.decode().partition("<main")[2]
    assert client.post(page_of(action, handle)).status_code == 403
    assert AuditEntry.objects.filter(outcome="refused").count() == 1
    action.refresh_from_db()
    assert action.state == "asked"


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    action = an_action()
    assert [stranger.get(address).status_code for address in (LIST, page_of(action))] == [403, 403]


def test_what_is_not_there_is_not_found(operator: Client) -> None:
    assert operator.get(reverse("admin:jobs_bulkaction_change", args=[999])).status_code == 404
    assert operator.post(page_of(an_action(), "explode")).status_code == 404


# Run now.


def test_a_run_that_is_due_later_can_run_now(operator: Client, viewer: Client) -> None:
    run = a_run("scheduled", due_at=timezone.now() + timedelta(hours=1))
    address = reverse("admin:jobs_jobrun_act", args=[run.pk, "run-now"])
    assert b"Run now" in operator.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content
    assert viewer.post(address).status_code == 403
    assert told(operator.post(address, {"reason": "it is back"})) == [
        "It is due now, and starts as soon as a worker is free."
    ]
    run.refresh_from_db()
    assert run.due_at <= timezone.now()
    assert AuditEntry.objects.get(outcome="done").action == "run_now"


def test_a_run_that_waits_for_no_time_is_left_alone(operator: Client) -> None:
    run = a_run("queued", ended_at=None)
    answer = operator.post(reverse("admin:jobs_jobrun_act", args=[run.pk, "run-now"]))
    assert answer.status_code == 409
    assert b"the run is queued" in answer.content


def test_an_action_on_a_cause_leads_to_it_and_to_what_died_again(operator: Client) -> None:
    cause = a_cause()
    burial = a_dead_job(cause=cause)
    chosen = bulk.Selection({"cause": cause.pk})
    action = bulk.ask(BulkVerb.REQUEUE, chosen, actor="ann", reason="it is back", ramp=Ramp(canary=1))[0]
    bulk.turn(action.pk)
    JobRun.objects.filter(pk=burial.run_id).update(state="retrying", error_class="shop.StillDown")
    content = operator.get(page_of(action)).content.decode()
    assert reverse("admin:jobs_failurecause_change", args=[cause.pk]) in content
    assert f'?cause={cause.pk}">dead jobs</a>' in content


def test_what_failed_again_and_was_mended_since_shows_no_error_any_more(operator: Client) -> None:
    burial = a_dead_job()
    action = an_action(canary=1)
    bulk.turn(action.pk)
    # A later life, which another one gave it.
    later = {"state": "succeeded", "life": 2, "ended_at": timezone.now(), "error_class": "shop.StillDown"}
    JobRun.objects.filter(pk=burial.run_id).update(**later)
    content = operator.get(page_of(action)).content.decode()
    assert "since then it has succeeded" in content
    assert "StillDown" not in content

"""People export lists, ask for runs, and change the arguments of those that did not do; each leaves its trace."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import by_hand
from jobs.broker.connection import client as broker
from jobs.broker.push import push
from jobs.enqueueing import build, message_of
from jobs.errors import BadArguments, NotEditable
from jobs.models import AuditEntry, DeadJob, JobRun, RunState
from jobs.registry import Bound, Placing, job
from tests.admin.rows import a_run

EXPORT = reverse("admin:jobs_jobrun_export")
NEW = reverse("admin:jobs_jobrun_new")


@job(name="tests.pay")
def pay(order: int, card_token: str = "none", *, note: str = "") -> None:
    """Asked for by hand."""


@job(name="tests.sweep")
def sweep() -> None:
    """Wants no argument, so that whoever calls it by mistake runs it."""
    pytest.fail("it was run by somebody who looks at a page")


@job(name="tests.pay_once", unique="args")
def pay_once(order: int) -> None:
    """The same, once at a time."""


def exported(client: Client, kind: str, **form: str) -> str:
    answer = client.post(EXPORT, {"format": kind, **form})
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Disposition"].endswith(f'.{kind}"')
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def a_pay(state: str, **facts: Any) -> JobRun:
    """A run of `tests.pay` whose card nobody sees."""
    given = {
        "name": "tests.pay",
        "payload": [[7, "tok_secret"], {}],
        "arguments": {"order": 7, "card_token": "[redacted]"},
    }
    run = a_run(state, **{**given, **facts})
    if state == RunState.DEAD:
        DeadJob.objects.create(
            run=run, name=run.name, queue=run.queue, reason="exhausted", life=0, died_at=timezone.now()
        )
    return run


def edit_of(run: JobRun) -> str:
    return reverse("admin:jobs_jobrun_edit", args=[run.pk])


def test_an_export_has_what_the_search_finds_and_no_payload(operator: Client) -> None:
    run = a_pay("dead", error_class="=cmd()", arguments={"order": 7, "card_token": "[redacted]"})
    a_run()
    rows = list(csv.DictReader(io.StringIO(exported(operator, "csv", q="state:dead", reason="month's end"))))
    assert [(row["id"], row["error_class"]) for row in rows] == [(str(run.pk), "'=cmd()")]
    assert json.loads(rows[0]["arguments"]) == {"order": 7, "card_token": "[redacted]"}
    (told,) = json.loads(exported(operator, "json", q="state:dead"))
    assert (told["id"], told["error_class"]) == (str(run.pk), "=cmd()")
    assert "tok_secret" not in json.dumps([rows, told])
    entry = AuditEntry.objects.earliest("pk")
    assert (entry.action, entry.count, entry.reason) == ("export", 1, "month's end")
    assert entry.filter == {"search": "state:dead", "format": "csv"}


def test_an_export_of_nothing_is_an_empty_list(operator: Client) -> None:
    assert json.loads(exported(operator, "json", q="state:dead")) == []


def test_an_export_goes_no_further_than_the_limit_and_says_so(
    operator: Client, jobs_settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.admin.exporting._CHUNK", 2)
    jobs_settings(BULK_LIMIT=3)
    for _number in range(5):
        a_run()
    assert b"More match than the limit of 3" in operator.get(EXPORT).content
    assert len(json.loads(exported(operator, "json"))) == 3
    assert AuditEntry.objects.get().count == 3


def test_an_export_is_refused_without_its_permission_and_a_look_records_nothing(
    viewer: Client, operator: Client, assert_strict: Callable[[bytes], None]
) -> None:
    a_run()
    assert viewer.post(EXPORT, {"format": "csv"}).status_code == 403
    assert AuditEntry.objects.get().outcome == "refused"
    assert_strict(operator.get(EXPORT).content)
    assert AuditEntry.objects.count() == 1


def test_a_run_is_asked_for_with_arguments_that_fit(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    form = operator.get(f"{NEW}?job=tests.pay")
    assert_strict(form.content)
    assert b'name="arg-order"' in form.content
    form = {"job": "tests.pay", "queue": "low", "arg-order": "17", "arg-card_token": '"tok_1"', "reason": "asked"}
    operator.post(NEW, form)
    run = JobRun.objects.get()
    assert (run.queue, run.payload, run.state) == ("low", [[17, "tok_1"], {}], "queued")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("enqueue", str(run.pk), "asked")
    assert entry.after["arguments"] == {"order": 17, "card_token": "[redacted]"}


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({}, "order wants a value"),
        ({"arg-order": "seven"}, "cannot be read as JSON"),
        ({"arg-order": "7", "when": "yesterday"}, "is no age"),
        ({"arg-order": "7", "queue": "nowhere"}, "there is no queue"),
    ],
)
def test_what_does_not_fit_is_said_and_the_form_keeps_it(operator: Client, form: dict[str, str], problem: str) -> None:
    page = operator.post(NEW, {"job": "tests.pay", **form}).content.decode()
    assert problem in page
    assert form.get("arg-order", "") in page
    assert not JobRun.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_form_that_is_sent_twice_asks_once(operator: Client) -> None:
    form = {"job": "tests.pay", "arg-order": "7", "key": "abc", "when": "2h"}
    operator.post(NEW, form)
    again = operator.post(NEW, form, follow=True)
    assert b"Already queued" in again.content
    assert JobRun.objects.get().due_at > timezone.now() + timedelta(hours=1)


def test_an_equal_run_of_a_unique_job_is_the_one(operator: Client) -> None:
    for _number in range(2):
        operator.post(NEW, {"job": "tests.pay_once", "arg-order": "7"})
    assert JobRun.objects.count() == 1
    assert list(AuditEntry.objects.order_by("pk").values_list("outcome", flat=True)) == ["done", "nothing to do"]


def test_who_may_not_ask_is_refused_and_nothing_unknown_is_asked_for(operator: Client, viewer: Client) -> None:
    assert viewer.post(NEW, {"job": "tests.pay", "arg-order": "7"}).status_code == 403
    assert b"No job is named" in operator.post(NEW, {"job": "os.system"}).content
    assert not JobRun.objects.exists()


def test_a_dead_run_gets_other_arguments_and_keeps_what_nobody_saw(
    operator: Client, assert_strict: Callable[[bytes], None]
) -> None:
    run = a_pay("dead")
    form = operator.get(edit_of(run))
    assert_strict(form.content)
    assert b"tok_secret" not in form.content
    operator.post(edit_of(run), {"arg-order": "8", "arg-card_token": '"[redacted]"', "reason": "wrong order"})
    run.refresh_from_db()
    assert (run.payload, run.arguments) == ([[8, "tok_secret"], {}], {"order": 8, "card_token": "[redacted]"})
    assert (run.state, run.life) == ("queued", 1)
    entry = AuditEntry.objects.get(action="edit")
    assert entry.before["arguments"] == {"order": 7, "card_token": "[redacted]"}
    assert entry.after["arguments"] == {"order": 8, "card_token": "[redacted]"}
    assert "tok_secret" not in json.dumps([entry.before, entry.after])


@pytest.mark.django_db(transaction=True)
def test_a_run_that_waits_is_in_its_queue_once_with_its_new_arguments() -> None:
    run = a_pay("queued")
    push([message_of(run)], at=timezone.now())
    by_hand.edit(run, {"order": 9, "card_token": "[redacted]"}, actor="ada")
    assert broker().lrange("rq:queue:default", 0, -1) == [run.rq_id.encode()]
    run.refresh_from_db()
    assert broker().hget(f"rq:job:{run.rq_id}", "life") == str(run.life).encode() == b"1"
    assert b"tok_secret" in broker().hget(f"rq:job:{run.rq_id}", "data")


def test_what_is_due_later_stays_due_then() -> None:
    due_at = timezone.now() + timedelta(hours=3)
    run = a_pay("scheduled", due_at=due_at)
    by_hand.edit(run, {"order": 9}, actor="ada")
    run.refresh_from_db()
    assert (run.state, run.due_at, run.payload) == ("scheduled", due_at, [[9], {}])


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [({"orders": 9}, "has no orders"), ({}, "missing"), ({"order": "[redacted]"}, "is no value")],
)
def test_arguments_that_do_not_fit_change_nothing(arguments: dict[str, Any], problem: str) -> None:
    run = a_pay("dead")
    with pytest.raises(BadArguments, match=problem):
        by_hand.edit(run, arguments, actor="ada")
    run.refresh_from_db()
    assert (run.state, run.payload) == ("dead", [[7, "tok_secret"], {}])
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("state", ["running", "succeeded", "cancelled"])
def test_a_run_that_runs_or_has_ended_is_left_alone_with_status_409(operator: Client, state: str) -> None:
    run = a_pay(state)
    answer = operator.post(edit_of(run), {"arg-order": "8"})
    assert answer.status_code == 409
    assert b"Now it is" in answer.content
    run.refresh_from_db()
    assert run.payload == [[7, "tok_secret"], {}]


def test_an_edit_to_the_arguments_of_an_equal_run_is_refused() -> None:
    a_run("queued", name="tests.pay_once", unique_key=pay_key(7), payload=[[7], {}])
    dead = a_run("dead", name="tests.pay_once", payload=[[8], {}], arguments={"order": 8})
    DeadJob.objects.create(
        run=dead, name=dead.name, queue=dead.queue, reason="exhausted", life=0, died_at=timezone.now()
    )
    waiting = a_run("queued", name="tests.pay_once", payload=[[9], {}], arguments={"order": 9})
    with pytest.raises(Exception, match="equal run is pending"):
        by_hand.edit(dead, {"order": 7}, actor="ada")
    with pytest.raises(NotEditable, match="equal run is pending"):
        by_hand.edit(waiting, {"order": 7}, actor="ada")


def pay_key(order: int) -> str:
    (built,) = build(pay_once, [Bound((order,), {})], Placing())
    return str(built.unique_key)


def test_a_job_that_nobody_knows_here_is_not_edited(operator: Client) -> None:
    run = a_run("dead")
    assert operator.get(edit_of(run)).status_code == 302
    with pytest.raises(NotEditable, match="no job that is registered"):
        by_hand.edit(run, {}, actor="ada")


def test_to_look_at_a_run_does_not_run_its_job(operator: Client) -> None:
    run = a_run("dead", name="tests.sweep", arguments={})
    assert edit_of(run) in operator.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content.decode()
    assert Template("{% if job %}{{ job }}{% endif %}").render(Context({"job": sweep})) == "&lt;Job tests.sweep&gt;"


def test_to_edit_has_a_permission_of_its_own(person: Callable[..., Client]) -> None:
    run = a_pay("dead")
    client = person("view_console", "requeue_job", "enqueue_job")
    assert edit_of(run) not in client.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content.decode()
    assert client.post(edit_of(run), {"arg-order": "8"}).status_code == 403
    assert AuditEntry.objects.get().outcome == "refused"

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, TestCase
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import pending, relay
from jobs.admin import keyset
from jobs.broker.connection import client as broker
from jobs.broker.push import push
from jobs.enqueueing import message_of
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry, JobRun, JobStep, RunState
from jobs.policy.ids import first_at, time_of
from tests.admin.rows import a_dead_job, a_run, an_attempt
from tests.sample import jobs as sample  # noqa: F401

LIST = reverse("admin:jobs_jobrun_changelist")


def page(run: JobRun) -> str:
    return reverse("admin:jobs_jobrun_change", args=[run.pk])


def act(run: JobRun, name: str) -> str:
    return reverse("admin:jobs_jobrun_act", args=[run.pk, name])


# Always the same: processes that run the tests side by side must agree on their names.
SOME_RUN = uuid.UUID(int=17)


def shown(client: Client, query: str = "") -> list[str]:
    """The names of the runs that a list shows, in its order."""
    content = client.get(f"{LIST}?{query}").content.decode()
    return re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', content)


# Who may look.


@pytest.mark.parametrize("path", ["", f"{SOME_RUN}/", f"{SOME_RUN}/payload/", f"{SOME_RUN}/retry/"])
def test_without_the_permission_no_page_opens(stranger: Client, path: str) -> None:
    answer = stranger.get(f"{LIST}{path}")
    assert answer.status_code == 403
    assert not AuditEntry.objects.exists()


def test_without_the_permission_the_index_has_no_link(stranger: Client, viewer: Client) -> None:
    index = reverse("admin:index")
    assert LIST not in stranger.get(index).content.decode()
    assert LIST in viewer.get(index).content.decode()


def test_who_is_not_logged_in_is_sent_to_log_in(client: Client) -> None:
    assert client.get(LIST).headers["Location"].startswith(reverse("admin:login"))


def test_an_unknown_run_is_not_found(viewer: Client) -> None:
    assert viewer.get(f"{LIST}{uuid.uuid4()}/").status_code == 404
    assert viewer.get(f"{LIST}{uuid.uuid4()}/explode/").status_code == 404


# The list.


def test_an_empty_list_says_so(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b"No job has run yet" in answer.content


def test_the_list_makes_the_same_few_queries_for_any_number_of_runs(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _number in range(keyset.PAGE_SIZE + 1):
        a_run()
    # Session, user, two for permissions, the counts of the states, the rows, saved searches.
    with django_assert_max_num_queries(7) as captured:
        viewer.get(LIST)
    assert not [query for query in captured.captured_queries if "OFFSET" in query["sql"]]


def test_pages_go_to_older_runs_and_back(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "PAGE_SIZE", 2)
    for name in "abcde":
        a_run(name=f"tests.{name}")
    first = viewer.get(LIST).content.decode()
    older = re.search(r'href="\?(older=[^"]+)" rel="next"', first)
    assert older
    assert shown(viewer) == ["tests.e", "tests.d"]
    assert shown(viewer, older[1]) == ["tests.c", "tests.b"]
    second = viewer.get(f"{LIST}?{older[1]}").content.decode()
    newer = re.search(r'href="\?(newer=[^"]+)" rel="prev"', second)
    assert newer
    assert shown(viewer, newer[1]) == ["tests.e", "tests.d"]


def test_a_cursor_that_was_tampered_with_shows_the_first_page(viewer: Client) -> None:
    a_run(name="tests.a")
    assert shown(viewer, "older=x' OR 1=1") == ["tests.a"]


def test_counting_stops_at_its_cap(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "COUNT_CAP", 2)
    for _number in range(4):
        a_run()
    assert "<strong>2+</strong>" in viewer.get(LIST).content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "state=dead",
        "queue=critical",
        "job=tests.ship",
        "q=state:dead",
        "q=queue:critical",
        "q=job:tests.ship",
        "q=tests.ship",
        "q=error:NoStock",
        "q=error:warehouse",
        "q=worker:host-9",
        "q=args.order_id:77",
        "q=args.lines.sku:A-1",
        "q=arg:77",
        "q=arg:A-1",
        "q=state:dead,retrying",
        "after=1h",
        "q=state:dead+arg:77&queue=critical&after=1h",
    ],
)
def test_each_filter_finds_what_it_names(viewer: Client, query: str) -> None:
    a_run(age=timedelta(hours=3), worker="host-1")
    a_run(
        RunState.DEAD,
        name="tests.ship",
        queue="critical",
        error_class="shop.NoStock",
        error_message="the warehouse says no",
        worker="host-9",
        arguments={"order_id": 77, "lines": {"sku": "A-1"}},
    )
    assert shown(viewer, query) == ["tests.ship"]


@pytest.mark.parametrize(
    "query", ["q=job:charge_order", "job=charge_order", "q=job:charge_order,no_such", "q=charge_order"]
)
def test_a_functions_bare_name_finds_the_runs_of_the_one_job_that_has_it(viewer: Client, query: str) -> None:
    a_run(name="tests.charge_order")
    a_run(name="orders.charge_order")
    assert shown(viewer, query) == ["orders.charge_order"]


def test_a_name_that_no_job_has_is_answered_with_the_nearest(viewer: Client) -> None:
    assert "Did you mean &quot;orders.charge_order&quot;?" in viewer.get(f"{LIST}?q=job:charge_ordr").content.decode()


def test_an_argument_is_compared_as_a_whole(viewer: Client) -> None:
    a_run(arguments={"order_id": 420})
    a_run(arguments={"order_id": "x42"})
    assert shown(viewer, "q=args.order_id:42") == []
    assert shown(viewer, "q=arg:42") == []


@pytest.mark.parametrize("name", ["in", "order_id__gt", "isnull"])
def test_an_argument_may_have_any_name(viewer: Client, name: str) -> None:
    a_run(arguments={name: 7})
    a_run(arguments={"order_id": 9})
    assert len(shown(viewer, f"q=args.{name}:7")) == 1


def test_a_search_for_arguments_says_how_far_it_looked(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "WINDOW", 2)
    a_run(arguments={"order_id": 1})
    a_run()
    a_run()
    content = viewer.get(f"{LIST}?q=args.order_id:1").content.decode()
    assert "runs only" in content
    assert shown(viewer, "q=args.order_id:1") == []


def test_an_id_alone_opens_its_run(viewer: Client) -> None:
    run = a_run()
    foreign = a_run(rq_id="made-by-rq")
    assert viewer.get(LIST, {"q": str(run.pk)}).headers["Location"] == page(run)
    assert viewer.get(LIST, {"q": run.pk.hex}).headers["Location"] == page(run)
    assert viewer.get(LIST, {"q": "id:made-by-rq"}).headers["Location"] == page(foreign)
    assert viewer.get(LIST, {"q": str(uuid.uuid4())}).status_code == 200


def test_a_wrong_qualifier_is_answered_with_the_nearest_and_no_rows(viewer: Client) -> None:
    a_run()
    content = viewer.get(f"{LIST}?q=stat:dead").content.decode()
    assert "Did you mean &quot;state&quot;?" in content
    assert shown(viewer, "q=stat:dead") == []


def test_a_wrong_state_or_time_is_answered_and_not_ignored(viewer: Client) -> None:
    a_run()
    assert "Did you mean &quot;dead&quot;?" in viewer.get(f"{LIST}?state=daed").content.decode()
    assert shown(viewer, "after=yesterday") == []


def test_what_was_asked_for_stays_in_the_form_and_is_escaped(
    viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    nasty = '"><script>alert(1)</script>'
    answer = viewer.get(LIST, {"q": nasty, "queue": nasty, "job": nasty, "state": nasty})
    assert_strict(answer.content)
    assert b"&quot;&gt;&lt;script&gt;" in answer.content


def test_ids_and_times_convert_both_ways() -> None:
    run = a_run(age=timedelta(days=2))
    assert first_at(run.created_at) <= run.pk < first_at(run.created_at + timedelta(milliseconds=2))
    assert abs(time_of(run.pk) - run.created_at) < timedelta(milliseconds=1)


# One run's page.


def test_a_run_is_told_as_a_timeline(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    dead = a_dead_job()
    answer = viewer.get(page(dead.run))
    content = answer.content.decode()
    assert_strict(answer.content)
    told = re.findall(r'class="jobs-event-head"><strong>([^<]+)</strong>', content)
    assert told == [
        "Asked for",
        "Given to Redis",
        "Attempt 1 of 3: raised",
        "Attempt 2 of 3: raised",
        "Attempt 3 of 3: raised",
        "Buried: attempts used up",
    ]
    assert "GatewayDown: &lt;b&gt;503&lt;/b&gt;" in content


def test_a_run_that_waits_says_for_what(viewer: Client) -> None:
    retrying = a_run(RunState.RETRYING, due_at=timezone.now() + timedelta(hours=1))
    unpushed = a_run(RunState.QUEUED, pushed_at=None)
    queued = a_run(RunState.QUEUED)
    running = a_run(RunState.RUNNING, started_at=timezone.now(), worker="host:1")
    scheduled = a_run(RunState.SCHEDULED, attempts=0, due_at=timezone.now() + timedelta(hours=1))
    for run, text in (
        (retrying, "Next attempt"),
        (unpushed, "Not pushed yet."),
        (queued, "In no place."),
        (running, "Attempt 1 is running"),
        (scheduled, "Due"),
    ):
        assert text in viewer.get(page(run)).content.decode()


def test_a_runs_page_makes_few_queries_for_any_number_of_attempts(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = a_dead_job().run
    for number in range(4, 30):
        an_attempt(run, number)
    for _number in range(30):
        a_run(parent=run.pk)
    # Session, user, two for permissions, run, attempts, burials, children, audit, progress, steps, schedule.
    with django_assert_max_num_queries(12):
        operator.get(page(run))


def test_a_run_shows_the_policy_of_its_job(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    run = a_run(name="tests.sample.announce_parcel", options={"attempts": 6})
    content = viewer.get(page(run)).content
    assert_strict(content)
    told = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", content.decode()))
    assert "attempts 6, then dead" in told
    assert "6 dead: attempts used up" in told
    assert "When it raises tests.sample.carrier.NoSuchParcel" in told


def test_a_run_that_expired_is_not_told_as_an_attempt(viewer: Client) -> None:
    run = a_run(state=RunState.DEAD)
    an_attempt(run, 1, outcome="expired", verdict="bury", error_message="it was not to start after noon")
    content = viewer.get(page(run)).content.decode()
    assert "Expired, and not started" in content
    assert "it was not to start after noon" in content
    assert "Attempt 1" not in content


def test_a_run_of_a_job_that_nobody_knows_here_shows_no_policy(viewer: Client) -> None:
    assert b"jobs-policy" not in viewer.get(page(a_run(name="gone.away"))).content


def test_parent_and_children_are_linked(viewer: Client) -> None:
    parent = a_run(name="tests.parent")
    child = a_run(name="tests.child", parent=parent.pk)
    orphan = a_run(parent=uuid.uuid4())
    assert page(child) in viewer.get(page(parent)).content.decode()
    assert page(parent) in viewer.get(page(child)).content.decode()
    assert "removed by retention" in viewer.get(page(orphan)).content.decode()


def test_a_viewer_sees_masked_arguments_and_no_button(viewer: Client) -> None:
    run = a_dead_job().run
    content = viewer.get(page(run)).content.decode()
    assert "[redacted]" in content
    assert "tok_live_4242" not in content
    assert act(run, "retry") not in content
    assert act(run, "discard") not in content


@pytest.mark.parametrize(
    ("state", "names"),
    [
        (RunState.DEAD, {"retry", "discard"}),
        (RunState.QUEUED, {"cancel"}),
        (RunState.SCHEDULED, {"cancel"}),
        (RunState.RETRYING, {"cancel"}),
        (RunState.RUNNING, {"stop"}),
        (RunState.SUCCEEDED, set()),
    ],
)
def test_each_state_offers_what_can_be_done(operator: Client, state: str, names: set[str]) -> None:
    run = a_dead_job().run if state == RunState.DEAD else a_run(state)
    content = operator.get(page(run)).content.decode()
    assert {name for name in ("retry", "discard", "cancel", "stop") if act(run, name) in content} == names


# The raw payload.


def test_the_payload_is_shown_on_demand_and_the_look_is_recorded(
    operator: Client, assert_strict: Callable[[bytes], None]
) -> None:
    run = a_run()
    address = reverse("admin:jobs_jobrun_payload", args=[run.pk])
    assert b"tok_live_4242" not in operator.get(address).content
    assert not AuditEntry.objects.exists()
    answer = operator.post(address, {"reason": "ticket 7"})
    assert_strict(answer.content)
    assert b"tok_live_4242" in answer.content
    assert "no-store" in answer.headers["Cache-Control"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == ("view_payload", str(run.pk), "ticket 7")


def test_the_payload_is_refused_without_its_permission_and_that_is_recorded(viewer: Client) -> None:
    run = a_run()
    answer = viewer.post(reverse("admin:jobs_jobrun_payload", args=[run.pk]))
    assert answer.status_code == 403
    assert b"tok_live_4242" not in answer.content
    assert AuditEntry.objects.get().outcome == "refused"


# Actions.


def test_retry_gives_a_dead_run_a_new_life_and_is_recorded(operator: Client) -> None:
    dead = a_dead_job()
    operator.post(act(dead.run, "retry"), {"burial": dead.pk, "reason": "the gateway is back"})
    dead.refresh_from_db()
    dead.run.refresh_from_db()
    assert (dead.run.state, dead.run.life, dead.resolution) == (RunState.QUEUED, 1, "requeued")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason, entry.outcome) == ("requeue", "the gateway is back", "done")
    assert entry.address == "127.0.0.1"


def test_a_double_click_retries_once_and_says_so(operator: Client) -> None:
    dead = a_dead_job()
    form = {"burial": dead.pk}
    operator.post(act(dead.run, "retry"), form)
    again = operator.post(act(dead.run, "retry"), form, follow=True)
    assert b"already requeued" in again.content
    assert JobRun.objects.get(pk=dead.run_id).life == 1
    assert AuditEntry.objects.count() == 1


def test_a_click_on_an_old_page_leaves_a_later_burial_alone(operator: Client) -> None:
    dead = a_dead_job()
    operator.post(act(dead.run, "retry"), {"burial": dead.pk})
    JobRun.objects.filter(pk=dead.run_id).update(state=RunState.DEAD, ended_at=timezone.now())
    later = dead.run.burials.create(
        life=1, name=dead.name, queue=dead.queue, reason="exhausted", died_at=timezone.now()
    )
    operator.post(act(dead.run, "discard"), {"burial": dead.pk, "reason": "stale"})
    later.refresh_from_db()
    assert later.resolution == ""


def test_discard_asks_first_and_wants_a_reason(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    dead = a_dead_job()
    asked = operator.get(act(dead.run, "discard"))
    assert_strict(asked.content)
    assert b"It will not run again" in asked.content
    assert b"Write down why" in operator.post(act(dead.run, "discard"), {"burial": dead.pk}).content
    dead.refresh_from_db()
    assert dead.resolution == ""
    operator.post(act(dead.run, "discard"), {"burial": dead.pk, "reason": "order was a test"})
    dead.refresh_from_db()
    assert (dead.resolution, dead.note) == ("discarded", "order was a test")


def test_a_discarded_run_is_told_to_end_once(operator: Client) -> None:
    dead = a_dead_job()
    operator.post(act(dead.run, "discard"), {"burial": dead.pk, "reason": "order was a test"})
    told = re.findall(
        r'class="jobs-event-head"><strong>([^<]+)</strong>', operator.get(page(dead.run)).content.decode()
    )
    assert told[-2] == "Buried: attempts used up"
    assert told[-1].startswith("Discarded by ")


def test_cancel_ends_a_run_that_waits(operator: Client) -> None:
    run = a_run(RunState.QUEUED)
    operator.post(act(run, "cancel"), {"reason": "asked twice"})
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED


def test_cancel_of_a_run_that_ended_changes_nothing_and_says_why(operator: Client) -> None:
    run = a_run()
    answer = operator.post(act(run, "cancel"), {"reason": "too late"}, follow=True)
    assert b"Nothing was changed" in answer.content
    assert b"This cannot be done now" in operator.get(act(run, "cancel")).content


def test_stop_orders_the_end_of_a_run_that_runs_and_says_who_and_why(operator: Client) -> None:
    run = a_run(RunState.RUNNING)
    assert b"What it has done is not undone" in operator.get(act(run, "stop")).content
    answer = operator.post(act(run, "stop"), {"reason": "wrong file"}, follow=True)
    assert b"the run is ended within seconds" in answer.content
    entry = AuditEntry.objects.get(action="stop")
    assert (entry.target, entry.reason) == (str(run.pk), "wrong file")
    assert broker().exists(f"jobs:stop:{run.rq_id}")


def test_stop_is_refused_without_its_own_permission(person: Callable[..., Client]) -> None:
    run = a_run(RunState.RUNNING)
    viewer = person("view_console", "requeue_job", "discard_job", "cancel_job")
    assert act(run, "stop") not in viewer.get(page(run)).content.decode()
    assert viewer.post(act(run, "stop"), {"reason": "x"}).status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.outcome) == ("stop", "refused")
    assert not broker().exists(f"jobs:stop:{run.rq_id}")


@pytest.mark.parametrize("name", ["retry", "discard", "cancel"])
def test_each_action_is_refused_without_its_own_permission_and_that_is_recorded(
    person: Callable[..., Client], name: str
) -> None:
    others = {"retry": "requeue_job", "discard": "discard_job", "cancel": "cancel_job"}
    lacks = others.pop(name)
    client = person("view_console", *others.values())
    dead = a_dead_job()
    answer = client.post(act(dead.run, name), {"burial": dead.pk, "reason": "x"})
    assert answer.status_code == 403
    assert f"jobs.{lacks}".encode() in answer.content
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.outcome) == (lacks.removesuffix("_job"), "refused")
    assert JobRun.objects.get(pk=dead.run_id).state == RunState.DEAD


def test_looking_changes_nothing(operator: Client) -> None:
    dead = a_dead_job()
    before = list(JobRun.objects.values())
    for address in (LIST, page(dead.run), act(dead.run, "retry"), act(dead.run, "discard")):
        assert operator.get(address).status_code == 200
        assert operator.head(address).status_code == 200
    assert list(JobRun.objects.values()) == before
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_only_post_acts(operator: Client, method: str) -> None:
    dead = a_dead_job()
    assert getattr(operator, method)(act(dead.run, "retry")).status_code == 405


def test_a_list_takes_no_post(operator: Client) -> None:
    assert operator.post(LIST).status_code == 405


def test_a_post_without_the_token_is_refused(operator: Client) -> None:
    dead = a_dead_job()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(act(dead.run, "retry"), {"burial": dead.pk}).status_code == 403
    assert JobRun.objects.get(pk=dead.run_id).state == RunState.DEAD


def test_a_run_that_a_circuit_puts_off_says_so_calmly_and_leads_to_it(viewer: Client) -> None:
    error = {"error_class": "jobs.errors.CircuitOpen", "error_message": "circuit list_provider is open"}
    due_at = timezone.now() + timedelta(seconds=30)
    run = a_run(RunState.SCHEDULED, name="orders.subscribe", attempts=0, due_at=due_at, **error)
    an_attempt(run, 1, outcome="postponed", verdict="put off", traceback="", **error)
    content = viewer.get(page(run)).content.decode()
    assert 'data-why="circuit"' in content
    assert "It is tried again by itself" in content
    assert content.count(reverse("admin:jobs_circuitsandlocks_changelist")) >= 3, (
        "in the sections, the reason and the facts"
    )
    assert "jobs-verdict" not in content
    assert "Traceback" not in content
    assert "to run not before its time" not in content, "it was asked for at once"


def test_what_a_run_and_its_steps_gave_is_masked_as_its_arguments_are(viewer: Client) -> None:
    gave = {"card": "4-secret", "api_token": "4-secret", "order": 7}
    run = a_run(name="tests.sample.charge", result=gave)
    JobStep.objects.create(run=run, name="pay", attempt=1, run_ms=1, done_at=timezone.now(), result=gave)
    page = viewer.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content.decode()
    assert "4-secret" not in page
    assert page.count("order") >= 2


def test_a_run_that_is_gone_is_told_as_far_as_its_id_tells(
    viewer: Client, assert_strict: Callable[[bytes], None], jobs_settings: Callable[..., Any]
) -> None:
    for age, words in (
        (timedelta(days=4000), "Removed by retention, on"),
        (timedelta(minutes=5), "too lately for retention"),
    ):
        gone = first_at(timezone.now() - age).int | 7 << 76 | 2 << 62
        answer = viewer.get(reverse("admin:jobs_jobrun_change", args=[uuid.UUID(int=gone)]))
        assert answer.status_code == 404
        assert words in answer.content.decode()
        assert_strict(answer.content)
    answer = viewer.get(reverse("admin:jobs_jobrun_change", args=[uuid.uuid4()]))
    assert (answer.status_code, b"not one that was made here" in answer.content) == (404, True)


def test_waiting_and_running_are_apart_on_one_bar(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    asked = timezone.now() - timedelta(minutes=5)
    started = asked + timedelta(seconds=8)
    run = a_run(created_at=asked, started_at=started, ended_at=started + timedelta(seconds=2))
    answer = viewer.get(page(run))
    assert_strict(answer.content)
    assert "Waited 8.0 s, ran 2.0 s" in answer.content.decode()
    assert '<rect class="jobs-ran" x="480" y="0" width="120" height="16"/>' in answer.content.decode()
    assert b"jobs-lifeline" not in viewer.get(page(a_run(RunState.QUEUED))).content


def test_who_comes_too_late_is_told_the_new_state_with_status_409(operator: Client) -> None:
    dead = a_dead_job()
    operator.post(act(dead.run, "retry"), {"burial": dead.pk})
    again = operator.post(act(dead.run, "retry"), {"burial": dead.pk})
    assert again.status_code == 409
    assert b"Already queued" in again.content
    ended = operator.post(act(a_run(), "cancel"), {"reason": "late"})
    assert (ended.status_code, b"succeeded" in ended.content) == (409, True)


def test_a_second_click_on_run_now_changes_nothing(operator: Client) -> None:
    run = a_run(RunState.SCHEDULED, due_at=timezone.now() + timedelta(hours=1))
    assert operator.post(act(run, "run-now")).status_code == 302
    again = operator.post(act(run, "run-now"))
    assert (again.status_code, b"Already queued" in again.content) == (409, True)
    assert AuditEntry.objects.count() == 1


def test_a_request_leads_to_all_that_it_brought_about(viewer: Client) -> None:
    parent = a_run(correlation="req-7")
    run = a_run(correlation="req-7", parent=parent.pk)
    child = a_run(parent=run.pk, correlation="req-7")
    content = viewer.get(page(run)).content.decode()
    assert "?q=request:req-7" in content
    assert content.index(str(parent.pk)) < content.index('<li aria-current="true">') < content.index(page(child))


def test_what_is_let_go_while_redis_is_away_starts_when_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(runs: object) -> None:
        raise BrokerUnavailable("Redis does not answer.")

    run = a_run(RunState.SCHEDULED, due_at=timezone.now() + timedelta(hours=1), rq_id="later")
    push([message_of(run)], at=timezone.now())
    with monkeypatch.context() as outage:
        outage.setattr("jobs.pending.hasten", away)
        with TestCase.captureOnCommitCallbacks(execute=True):
            pending.run_now(run, actor="ada")
    run.refresh_from_db()
    assert run.pushed_at is None
    relay.relay(min_age=None)
    assert broker().zscore("rq:scheduled:default", "later") <= timezone.now().timestamp()

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import fuses
from jobs.broker import fuses as copies
from jobs.broker import keys
from jobs.broker.connection import client as redis
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry, Fuse, JobRun
from tests.admin.rows import a_run

LIST = reverse("admin:jobs_fuse_changelist")
ADD = reverse("admin:jobs_fuse_add")
ASKED = {"job": "tests.sample.add", "action": "hold", "length": "30m"}


def a_fuse(**options: object) -> Fuse:
    return fuses.add("tests.sample.add", **{"reason": "<b>it loops</b>", "actor": "ann", **options})


def catch(fuse: Fuse, run: JobRun) -> None:
    """What a claim does with a run."""
    lane = keys.fuse_lane(fuse.pk, run.queue)
    redis().rpush(keys.lane(lane), run.rq_id)
    redis().hset(keys.job(run.rq_id), mapping={"lane": lane, "status": "queued", "life": 0})


def lift_of(fuse: Fuse) -> str:
    return reverse("admin:jobs_fuse_lift", args=[fuse.pk])


def told(answer: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise BrokerUnavailable("away")

    for name in ("caught", "publish", "fuses_of"):
        monkeypatch.setattr(copies, name, away)


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    for address in (LIST, ADD, lift_of(a_fuse())):
        assert stranger.get(address).status_code == 403


def test_an_empty_list_says_so(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b"No fuse" in answer.content


def test_a_viewer_sees_the_fuses_and_no_button(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    fuse = a_fuse(where={"left": 1})
    catch(fuse, a_run("queued"))
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    page = answer.content.decode()
    assert "&lt;b&gt;it loops&lt;/b&gt;" in page
    assert "left=1" in page
    assert '<td class="jobs-number jobs-short" data-label="Caught now">1</td>' in page
    assert "Lift…" not in page
    assert "Add a fuse" not in page


def test_the_list_makes_the_same_few_queries_for_any_number(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for left in range(20):
        a_fuse(where={"left": left})
    # Session, user, two for permissions, the fuses, those that ended.
    with django_assert_max_num_queries(6):
        viewer.get(LIST)


def test_fuses_that_ended_stand_below(viewer: Client) -> None:
    fuses.lift(a_fuse(), actor="bob")
    fuses.tend()
    page = viewer.get(LIST).content.decode()
    assert "No fuse" in page
    assert "by bob" in page


def test_an_operator_sees_what_a_fuse_would_catch_and_nothing_is_changed(
    operator: Client, assert_strict: Callable[[bytes], None]
) -> None:
    for queue in ("default", "default", "low"):
        a_run("queued", name="tests.sample.add", queue=queue, arguments={"left": 1, "right": 2})
    a_run("queued", name="tests.sample.add", arguments={"left": 2, "right": 2})
    answer = operator.get(ADD, {**ASKED, "where": "left=1"})
    assert_strict(answer.content)
    page = answer.content.decode()
    assert "3 waiting runs would be caught" in page
    assert "low <strong>1</strong>" in page
    assert "start in their order" in page
    assert not Fuse.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"job": "tests.sample.ad"}, "Did you mean"),
        ({"action": "explode"}, "nothing that a fuse does"),
        ({"action": "slow"}, "needs a rate"),
        ({"action": "slow", "rate": "0/s"}, "is no rate"),
        ({"length": "long"}, "is no age"),
        ({"length": "99d"}, "must end"),
        ({"where": "left"}, "names no argument"),
        ({"where": "middle=1"}, "has no argument"),
        ({"where": "left=[1]"}, "cannot be compared"),
    ],
)
def test_what_cannot_be_is_said_and_not_offered(operator: Client, change: dict[str, str], problem: str) -> None:
    for answer in (operator.get(ADD, {**ASKED, **change}), operator.post(ADD, {**ASKED, **change, "reason": "x"})):
        assert answer.status_code == 200
        assert problem in answer.content.decode()
        assert "Add the fuse" not in answer.content.decode()
    assert not Fuse.objects.exists()


def test_an_operator_adds_a_fuse_with_a_reason(operator: Client) -> None:
    answer = operator.post(ADD, {**ASKED, "where": "left=1\nright=2", "reason": "it loops"})
    assert answer.status_code == 302
    fuse = Fuse.objects.get()
    assert (fuse.name, fuse.where, fuse.reason) == ("tests.sample.add", {"left": 1, "right": 2}, "it loops")
    assert fuse.expires_at - fuse.created_at == timedelta(minutes=30)
    assert told(answer) == [f"Fuse {fuse.pk} was added to tests.sample.add."]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.address) == ("add_fuse", fuse.actor, "127.0.0.1")


def test_a_fuse_needs_a_reason(operator: Client) -> None:
    answer = operator.post(ADD, {**ASKED, "reason": " "})
    assert b"Write down why" in answer.content
    assert not Fuse.objects.exists()


def test_a_second_click_adds_nothing(operator: Client) -> None:
    for _ in range(2):
        answer = operator.post(ADD, {**ASKED, "reason": "it loops"})
    assert b"has a fuse for these runs already" in answer.content
    assert Fuse.objects.count() == AuditEntry.objects.count() == 1


def test_a_viewer_adds_nothing_and_the_refusal_is_written_down(viewer: Client) -> None:
    assert viewer.get(ADD).status_code == 403
    assert viewer.post(ADD, {**ASKED, "reason": "x"}).status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.outcome) == ("add_fuse", "tests.sample.add", "refused")
    assert not Fuse.objects.exists()


def test_a_viewer_lifts_nothing_and_the_refusal_is_written_down(viewer: Client) -> None:
    fuse = a_fuse()
    assert viewer.post(lift_of(fuse)).status_code == 403
    assert AuditEntry.objects.filter(action="lift_fuse", outcome="refused", target=f"fuse {fuse.pk}").count() == 1
    assert Fuse.objects.get().ended_at is None


def test_an_operator_lifts_a_fuse(operator: Client, assert_strict: Callable[[bytes], None]) -> None:
    fuse = a_fuse()
    catch(fuse, a_run("queued"))
    answer = operator.get(lift_of(fuse))
    assert_strict(answer.content)
    assert b"1 run that it kept" in answer.content
    assert operator.post(lift_of(fuse), {"reason": "mended"}).status_code == 302
    assert Fuse.objects.get().ended_at is not None
    assert AuditEntry.objects.filter(action="lift_fuse", reason="mended").count() == 1
    again = operator.post(lift_of(fuse))
    assert "has ended already" in told(again)[-1]
    assert b"has been ended by" in operator.get(lift_of(fuse)).content


def test_a_fuse_that_is_not_there_is_not_found(operator: Client) -> None:
    for number in (4711, 2**70):
        assert operator.get(f"{LIST}{number}/lift/").status_code == 404


def test_while_redis_is_away_a_fuse_is_stored_and_counts_are_unknown(operator: Client, no_redis: None) -> None:
    assert operator.post(ADD, {**ASKED, "reason": "it loops"}).status_code == 302
    page = operator.get(LIST).content.decode()
    assert "Redis does not answer" in page
    assert "unknown" in page
    assert operator.post(lift_of(Fuse.objects.get())).status_code == 302


def test_a_caught_run_says_what_keeps_it(viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    fuse = a_fuse()
    caught, free = a_run("queued"), a_run("queued")
    catch(fuse, caught)
    runs = reverse("admin:jobs_jobrun_changelist")
    assert viewer.get(runs).content.decode().count(f"caught by fuse {fuse.pk}") == 1
    page = viewer.get(reverse("admin:jobs_jobrun_change", args=[caught.pk])).content.decode()
    assert 'data-why="fuse"' in page
    assert f"Fuse {fuse.pk} (hold) keeps it from starting by ann: &lt;b&gt;it loops&lt;/b&gt;." in page
    assert (
        "fuse"
        not in viewer.get(reverse("admin:jobs_jobrun_change", args=[free.pk]))
        .content.decode()
        .partition("jobs-timeline")[2]
    )


def test_a_run_that_starts_is_not_said_to_be_caught(viewer: Client) -> None:
    fuse, run = a_fuse(), a_run("queued")
    catch(fuse, run)
    redis().hset(keys.job(run.rq_id), "status", "started")
    assert "caught by fuse" not in viewer.get(reverse("admin:jobs_jobrun_changelist")).content.decode()


def test_who_may_manage_fuses_is_led_to_them(operator: Client, viewer: Client) -> None:
    run = a_run("queued", created_at=timezone.now())
    pages = [
        reverse("admin:jobs_jobrun_change", args=[run.pk]),
        f"{reverse('admin:jobs_jobrun_changelist')}?job={run.name}",
    ]
    for page in pages:
        assert f"{ADD}?job={run.name}" in operator.get(page).content.decode()
        assert ADD not in viewer.get(page).content.decode()


def test_who_adds_a_second_fuse_is_told_of_the_first(operator: Client) -> None:
    first = a_fuse()
    content = operator.get(ADD, ASKED).content.decode()
    assert f"Fuse {first.pk}</a> is on this job already (ann: &lt;b&gt;it loops&lt;/b&gt;)." in content
    assert "is on this job already" not in operator.get(ADD, {**ASKED, "job": "tests.sample.fail"}).content.decode()

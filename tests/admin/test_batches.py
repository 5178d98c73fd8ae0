from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import audit
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry, Batch, BatchSlice, DeadJob, RunState
from tests.admin.rows import a_dead_job, a_run

LIST = reverse("admin:jobs_batch_changelist")
RUNS = reverse("admin:jobs_jobrun_changelist")
DEAD_JOBS = reverse("admin:jobs_deadjob_changelist")


def a_batch(name: str = "Newsletter <b>May</b>", **facts: Any) -> Batch:
    given = {"state": "running", "total": 10, "succeeded": 4, "sealed_at": timezone.now()}
    return Batch.objects.create(name=name, **{**given, **facts})


def page_of(batch: Batch) -> str:
    return reverse("admin:jobs_batch_change", args=[batch.pk])


def prepared(job: str) -> dict[str, Any]:
    return {"job": job, "args": ["tok_secret"], "kwargs": {}}


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    for address in (LIST, page_of(a_batch())):
        assert stranger.get(address).status_code == 403


def test_an_empty_list_shows_how_to_make_one(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    assert b"No batches" in answer.content
    assert b"enqueue_many" in answer.content


def test_the_list_tells_how_far_each_is(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    batch = a_batch(dead=1, on_complete=prepared("shop.tell"), trouble="on_complete cannot be enqueued: <i>")
    BatchSlice.objects.create(batch=batch, members=5)
    BatchSlice.objects.create(batch=batch, members=7, folded=True)
    Batch.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    for _ in range(30):
        a_run(batch=batch, ended_at=timezone.now() - timedelta(seconds=30))
    answer = viewer.get(LIST)
    assert_strict(answer.content)
    page = answer.content.decode()
    assert "Newsletter &lt;b&gt;May&lt;/b&gt;" in page
    assert '<progress max="15" value="5"' in page
    assert "5 of 15" in page
    assert "30/min, about 20 s left" in page
    assert f"{RUNS}?batch={batch.pk}&amp;state=succeeded" in page
    assert f"{DEAD_JOBS}?batch={batch.pk}" in page
    assert "when all have ended" in page
    assert "not yet" in page
    assert "on_complete cannot be enqueued: &lt;i&gt;" in page
    assert 'data-refresh="5"' in page


def test_what_has_ended_is_not_asked_for_again(viewer: Client) -> None:
    a_batch(state="succeeded", total=4)
    assert "data-refresh" not in viewer.get(LIST).content.decode()


def test_what_stands_within_another_is_found_by_search_and_state(viewer: Client) -> None:
    outer = a_batch("outer")
    a_batch("inner part", within=outer, state="failed")
    assert "1 batch within it" in viewer.get(LIST).content.decode()
    assert "inner part" not in viewer.get(LIST).content.decode()
    for query in ({"name": "inner"}, {"state": "failed"}):
        page = viewer.get(LIST, query).content.decode()
        assert "inner part" in page
        assert f'within <a href="{page_of(outer)}">outer</a>' in page
    assert "No batch matches" in viewer.get(LIST, {"name": "nothing"}).content.decode()


def test_the_list_makes_the_same_few_queries_for_any_number(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        a_batch("within", within=a_batch(f"batch {number}"))
    # Session, user, two for permissions, counts by state, the batches, and four for how they fare.
    with django_assert_max_num_queries(10):
        viewer.get(LIST)


def test_a_batch_of_a_million_is_shown_from_its_counts(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    batch = a_batch(total=1_000_000, succeeded=400_000, dead=12, parent=a_run().pk)
    for _ in range(20):
        BatchSlice.objects.create(batch=batch, members=1000, folded=True)
    level = [batch]
    for _ in range(3):
        level = [a_batch("part", within=outer) for outer in level for _ in range(2)]
    # Session, user, two for permissions, the batch; two for slices, one for the parent; one for each level, and four
    # for how they fare.
    with django_assert_max_num_queries(5 + 3 + 4 + 4):
        page = viewer.get(page_of(batch)).content.decode()
    assert "400,012 of 1,000,000" in page
    assert "20 slices" in page
    assert page.count(">part</a>") == 2 + 4 + 8


def test_a_tree_that_is_too_large_is_cut_and_says_so(viewer: Client) -> None:
    batch = a_batch()
    Batch.objects.bulk_create(Batch(name="part", within=batch) for _ in range(120))
    page = viewer.get(page_of(batch)).content.decode()
    assert page.count(">part</a>") == 100
    assert "There are more; these are the first." in page


def test_the_page_tells_callbacks_and_never_their_arguments(
    viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    batch = a_batch(
        on_success=prepared("shop.cheer"), on_death=prepared("shop.look"), death_told_at=timezone.now(), key="may<"
    )
    answer = viewer.get(page_of(batch))
    assert_strict(answer.content)
    page = answer.content.decode()
    assert "shop.cheer" in page
    assert "enqueued" in page.partition("shop.look")[2]
    assert "tok_secret" not in page
    assert "may&lt;" in page


def test_what_will_not_be_told_any_more_is_said_so(viewer: Client) -> None:
    batch = a_batch(state="succeeded", total=4, ended_at=timezone.now(), on_death=prepared("shop.look"))
    assert "not enqueued" in viewer.get(page_of(batch)).content.decode()
    Batch.objects.update(trouble="on_death cannot be enqueued")
    assert "not yet" in viewer.get(page_of(batch)).content.decode()


def test_who_may_see_the_audit_sees_that_of_the_batch(operator: Client, viewer: Client) -> None:
    batch = a_batch()
    audit.record(actor="ann", action="cancel batch", target=f"batch {batch.pk}", reason="wrong letter")
    assert "wrong letter" in operator.get(page_of(batch)).content.decode()
    assert "wrong letter" not in viewer.get(page_of(batch)).content.decode()


def test_a_batch_that_is_not_there_is_not_found(operator: Client) -> None:
    for number in (4711, 2**70):
        for page in ("", "cancel/", "explode/"):
            assert operator.get(f"{LIST}{number}/{page}").status_code == 404


def told(answer: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_an_operator_cancels_the_rest_and_sees_how_many_that_are(
    operator: Client, assert_strict: Callable[[bytes], None]
) -> None:
    batch = a_batch(total=5000)
    a_batch("part", within=batch, total=10, succeeded=3)
    cancel = f"{page_of(batch)}cancel/"
    assert cancel in operator.get(page_of(batch)).content.decode()
    answer = operator.get(cancel)
    assert_strict(answer.content)
    assert "5,003 members have not ended yet" in answer.content.decode()
    assert "with the batch within it" in answer.content.decode()
    assert Batch.objects.get(pk=batch.pk).cancelled_at is None

    assert b"Write down why" in operator.post(cancel, {"reason": " "}).content
    answer = operator.post(cancel, {"reason": "wrong letter"})
    assert told(answer) == ["Cancelled: what waits of 5,003 pending members is being taken back."]
    batch.refresh_from_db()
    assert batch.cancelled_at is not None
    entry = AuditEntry.objects.get()
    assert (entry.target, entry.reason, entry.outcome) == (f"batch {batch.pk}", "wrong letter", "done")
    page = operator.get(page_of(batch)).content.decode()
    assert "The rest was cancelled" in page
    assert cancel not in page


def test_a_batch_is_cancelled_once(operator: Client) -> None:
    batch = a_batch()
    for _ in range(2):
        answer = operator.post(f"{page_of(batch)}cancel/", {"reason": "wrong letter"})
    assert "was cancelled already" in told(answer)[-1]
    assert AuditEntry.objects.count() == 1
    assert b"was cancelled already" in operator.get(f"{page_of(batch)}cancel/").content


def test_of_a_batch_that_has_ended_nothing_can_be_cancelled(operator: Client) -> None:
    batch = a_batch(state="succeeded", total=4)
    assert "cancel/" not in operator.get(page_of(batch)).content.decode()
    assert b"has ended" in operator.get(f"{page_of(batch)}cancel/").content
    assert "has ended" in told(operator.post(f"{page_of(batch)}cancel/", {"reason": "late"}))[-1]


def test_a_viewer_changes_nothing_and_the_refusal_is_written_down(viewer: Client) -> None:
    batch = a_batch(dead=1)
    page = viewer.get(page_of(batch)).content.decode()
    assert "Retry failed" not in page
    assert "Cancel the rest" not in page
    assert viewer.get(f"{page_of(batch)}cancel/").status_code == 403
    assert not AuditEntry.objects.exists()
    assert viewer.post(f"{page_of(batch)}cancel/", {"reason": "me too"}).status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.outcome) == ("batch cancel", f"batch {batch.pk}", "refused")
    assert Batch.objects.get().cancelled_at is None


def test_a_batch_can_be_cancelled_while_redis_is_away(
    operator: Client, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def away(*_: object, **__: object) -> None:
        raise BrokerUnavailable("away")

    monkeypatch.setattr("jobs.outbox.push_parcels", away)
    batch = a_batch()
    assert operator.get(page_of(batch)).status_code == operator.get(LIST).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        assert operator.post(f"{page_of(batch)}cancel/", {"reason": "wrong letter"}).status_code == 302
    assert Batch.objects.get().cancelled_at is not None


def test_the_failed_are_retried_with_those_of_batches_within(operator: Client) -> None:
    outer = a_batch(total=3, succeeded=1, dead=1)
    inner = a_batch("part", within=outer, dead=1)
    for batch in (outer, inner, None):
        a_dead_job(batch=batch)
    assert f"{DEAD_JOBS}retry/?within={outer.pk}" in operator.get(page_of(outer)).content.decode()
    preview = operator.get(f"{DEAD_JOBS}retry/", {"within": outer.pk})
    assert preview.context["count"] == 2
    assert "also of what stands within it" in preview.content.decode()
    assert operator.get(f"{DEAD_JOBS}retry/", {"batch": outer.pk}).context["count"] == 1
    assert "also of what stands within it" in operator.get(DEAD_JOBS, {"within": outer.pk}).content.decode()
    for shown in ("discarded", "resolved"):
        assert operator.get(DEAD_JOBS, {"within": outer.pk, "shown": shown}).status_code == 200
    assert operator.get(f"{DEAD_JOBS}undo/", {"within": outer.pk}).status_code == 200


def test_members_are_found_among_the_runs(viewer: Client) -> None:
    batch = a_batch()
    member, other = a_run("queued", batch=batch), a_run("queued")
    for query in ({"batch": batch.pk}, {"q": f"batch:{batch.pk}"}, {"batch": batch.pk, "state": "queued,running"}):
        page = viewer.get(RUNS, query).content.decode()
        assert str(member.pk) in page
        assert str(other.pk) not in page
    assert str(member.pk) not in viewer.get(RUNS, {"batch": batch.pk, "state": "dead"}).content.decode()


@pytest.mark.parametrize("text", ["may", "9" * 30])
def test_what_is_no_number_of_a_batch_is_said_so(viewer: Client, text: str) -> None:
    assert "is no number of a batch" in viewer.get(RUNS, {"batch": text}).content.decode()
    assert "There is no batch" in viewer.get(DEAD_JOBS, {"batch": text}).content.decode()


def test_dead_members_are_retried_by_themselves(operator: Client) -> None:
    batch = a_batch()
    a_dead_job(batch=batch)
    a_dead_job()
    assert operator.get(DEAD_JOBS, {"batch": batch.pk}).content.decode().count("1 dead job") >= 1
    preview = operator.get(f"{DEAD_JOBS}retry/", {"batch": batch.pk})
    form = {
        "batch": batch.pk,
        "up_to": preview.context["selection"].up_to,
        "as_of": preview.context["selection"].as_of.isoformat(),
        "count": preview.context["count"],
    }
    assert form["count"] == 1
    operator.post(f"{DEAD_JOBS}retry/", form)
    assert DeadJob.objects.get(resolution="requeued").run.batch_id == batch.pk
    assert DeadJob.objects.get(resolution="").run.state == RunState.DEAD

"""One box finds runs by everything that is known of them, and says what it did not understand or not look at."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from jobs.admin import keyset, run_filter
from jobs.admin.run_filter import RunFilter
from jobs.models import SavedView
from tests.admin.rows import a_cause, a_dead_job, a_run, an_attempt

LIST = reverse("admin:jobs_jobrun_changelist")


def found(client: Client, text: str) -> set[str]:
    page = client.get(f"{LIST}?{urlencode({'q': text})}").content.decode()
    return set(re.findall(r'title="([0-9a-f-]{36})"', page))


@pytest.mark.parametrize(
    "text",
    [
        "job:tests.late",
        "job:tests.late,tests.none",
        "-job:tests.charge",
        "queue:critical",
        "-queue:default,low",
        "state:running,dead",
        "worker:host7",
        "release:r124",
        "request:req-7",
        "subject:shop.order:17",
        "waited:>30s",
        "took:>5s",
        "took:>=6000ms took:<7s",
        "attempts:>2",
        "attempts:4",
        "args.order.id:17",
        'args.note:"two words"',
        "args.order.id:17,18",
        "-args.order.id:42",
        "arg:17",
        "before:30m",
        "after:2h before:30m",
        "queue:critical state:running job:tests.late",
    ],
)
def test_each_qualifier_finds_what_it_names_and_no_other(viewer: Client, text: str) -> None:
    wanted = a_run(
        "running",
        name="tests.late",
        queue="critical",
        age=timedelta(hours=1),
        arguments={"order": {"id": 17}, "note": "two words"},
        worker="host7:1",
        release="r124",
        correlation="req-7",
        subject="shop.order:17",
        wait_ms=31_000,
        run_ms=6000,
        attempts=4,
    )
    a_run(arguments={"order": {"id": 42}}, wait_ms=10, run_ms=10, release="r123", worker="host8:1")
    assert found(viewer, text) == {str(wanted.pk)}


def test_what_redis_has_not_heard_of_is_found_by_that(viewer: Client) -> None:
    a_run("queued")
    a_run("succeeded", pushed_at=None)
    waiting = {str(a_run(state, pushed_at=None).pk) for state in ("queued", "scheduled")}
    assert found(viewer, "is:unpushed") == waiting
    assert len(found(viewer, "-is:unpushed")) == 2
    assert "unpushed" in viewer.get(f"{LIST}?q=is:pushed").content.decode()
    assert found(viewer, "is:pushed") == set()


def test_a_hyphen_keeps_what_lacks_the_argument(viewer: Client) -> None:
    without = a_run(arguments={})
    a_run(arguments={"order_id": 7})
    assert found(viewer, "-args.order_id:7") == {str(without.pk)}


def test_an_error_is_looked_for_among_the_causes_and_leads_to_their_runs(viewer: Client) -> None:
    cause = a_cause()
    recovered = a_run()
    an_attempt(recovered, 1, fingerprint=cause.fingerprint)
    dead = a_dead_job(cause=cause).run
    an_attempt(dead, 4, fingerprint=cause.fingerprint)
    a_run()
    assert found(viewer, "error:gatewaydown") == {str(recovered.pk), str(dead.pk)}
    assert found(viewer, f"cause:{cause.pk}") == {str(recovered.pk), str(dead.pk)}
    assert found(viewer, f"cause:{cause.fingerprint} state:dead") == {str(dead.pk)}
    assert b"There is no cause" in viewer.get(f"{LIST}?q=cause:999").content


def test_an_error_of_no_cause_is_looked_for_in_the_runs(viewer: Client) -> None:
    run = a_run("scheduled", error_class="jobs.errors.LockHeld", error_message="held by another")
    assert found(viewer, "error:LockHeld") == {str(run.pk)}
    assert found(viewer, 'error:"by another",nothing') == {str(run.pk)}


@pytest.mark.parametrize("text", ["waited:30s", "attempts:many", "after:1h,2h", "-before:1h", "batch:x", 'job:""'])
def test_what_is_not_understood_is_said_and_nothing_is_shown(viewer: Client, text: str) -> None:
    a_run()
    page = viewer.get(f"{LIST}?{urlencode({'q': text})}").content
    assert b"errornote" in page
    assert b"Nothing was searched" in page


def test_fields_of_links_become_part_of_the_box(viewer: Client) -> None:
    page = viewer.get(f"{LIST}?state=dead&job=a+b").content.decode()
    assert 'value="state:dead job:&quot;a b&quot;"' in page


def test_each_condition_can_be_dropped_where_nothing_matches(viewer: Client) -> None:
    page = viewer.get(f"{LIST}?q=state:dead+-queue:low").content.decode()
    assert "No run matches" in page
    assert '<a href="?q=-queue%3Alow"><code>state:dead</code></a>' in page
    assert '<a href="?q=state%3Adead"><code>-queue:low</code></a>' in page


def test_filters_beside_the_list_turn_one_value_on_and_off(viewer: Client) -> None:
    page = viewer.get(f"{LIST}?q=state:dead+took:>5s").content.decode()
    assert '<a href="?q=took%3A%3E5s" aria-current="true">' in page
    assert "?q=took%3A%3E5s+state%3Aqueued" in page
    assert '<option value="state:queued"></option>' in page


def test_what_two_indexes_could_serve_is_bounded_too(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "WINDOW", 2)
    monkeypatch.setattr(run_filter, "NARROW_WINDOW", 2)
    old = a_run(name="tests.rare", queue="low", age=timedelta(hours=2))
    for _number in range(2):
        a_run(name="tests.often", queue="low")
    assert found(viewer, "job:tests.rare queue:low") == {str(old.pk)}
    a_run(name="tests.rare", queue="default")
    a_run(name="tests.rare", queue="default")
    assert found(viewer, "job:tests.rare queue:low") == set()
    assert b"No index serves this" in viewer.get(f"{LIST}?q=job:tests.rare+queue:low").content


def test_an_id_of_plain_rq_alone_opens_its_run(viewer: Client) -> None:
    run = a_run(rq_id="nightly-7")
    answer = viewer.get(f"{LIST}?q=nightly-7")
    assert answer.headers["Location"] == reverse("admin:jobs_jobrun_change", args=[run.pk])


def test_a_search_is_saved_from_its_page_and_stands_above_the_box(
    operator: Client, viewer: Client, assert_strict: Callable[[bytes], None]
) -> None:
    address = reverse("admin:jobs_jobrun_views")
    assert b"Save this search" in operator.get(f"{LIST}?q=state:dead").content
    form = operator.get(f"{address}?q=state:dead")
    assert_strict(form.content)
    operator.post(address, {"q": "state:dead", "name": "All dead", "shared": "1"})
    page = viewer.get(f"{LIST}?q=state:dead").content
    assert b'<a href="?q=state%3Adead" aria-current="true"' in page
    assert b"All dead" in page
    refused = viewer.post(address, {"q": "state:dead", "name": "Mine too", "shared": "1"})
    assert refused.status_code == 403
    own = viewer.post(address, {"q": "state:queued", "name": "Mine"})
    assert own.status_code == 302
    assert b"Mine" not in operator.get(LIST).content


def test_a_view_of_somebody_else_is_changed_by_nobody_without_the_permission(operator: Client, viewer: Client) -> None:
    address = reverse("admin:jobs_jobrun_views")
    operator.post(address, {"q": "state:dead", "name": "ours", "shared": "1"})
    operator.post(address, {"q": "state:dead", "name": "private"})
    shared, private = (SavedView.objects.get(name=name) for name in ("ours", "private"))
    rename = [reverse("admin:jobs_jobrun_view", args=[view.pk, "rename"]) for view in (shared, private)]
    assert viewer.post(rename[0], {"name": "mine"}).status_code == 403
    assert viewer.post(rename[1], {"name": "mine"}).status_code == 404
    operator.post(rename[0], {"name": "everybody's"})
    operator.post(reverse("admin:jobs_jobrun_view", args=[private.pk, "delete"]))
    assert list(SavedView.objects.values_list("name", flat=True)) == ["everybody's"]


@pytest.mark.parametrize(("text", "windowed"), [("batch:1 state:dead", False), ("batch:1 queue:low", True)])
def test_members_by_state_have_an_index_of_their_own(text: str, windowed: bool) -> None:
    assert RunFilter.read({"q": text}).windowed == windowed

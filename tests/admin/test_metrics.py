"""The pages of figures: who may see them, what they say, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from jobs import figures, metrics
from jobs.metrics import Minutes
from jobs.models import WorkerRelease
from jobs.templatetags.jobs_metrics import changed, is_worse, within
from tests.admin.conftest import SHELL_QUERIES

LIST = reverse("admin:jobs_metricminute_changelist")
ADD = "tests.sample.add"
ONE = reverse("admin:jobs_metricminute_change", args=[ADD])


def happened(
    *,
    name: str = ADD,
    queue: str = "default",
    ago: timedelta = timedelta(0),
    good: int = 0,
    bad: int = 0,
    ms: int = 100,
) -> None:
    at_ms = int((timezone.now() - ago).timestamp() * 1000)
    minutes, times = Minutes(), {"started_ms": at_ms, "ended_ms": at_ms, "wait_ms": 3, "run_ms": ms}
    for _ in range(good):
        minutes.succeeded(name, queue, **times)
    for _ in range(bad):
        minutes.settled(name, queue, **times, verdict="bury", outcome="raised", error_class="OSError")
    minutes.enqueued(name, queue, at_ms=at_ms, count=good + bad)
    minutes.write()
    metrics.roll()


def released(name: str, *, ago: timedelta) -> None:
    at = timezone.now() - ago
    WorkerRelease.objects.create(release=name, first_seen_at=at, last_seen_at=timezone.now())


def test_without_the_permission_no_page_opens(stranger: Client) -> None:
    assert {stranger.get(address).status_code for address in (LIST, ONE)} == {403}


def test_nobody_may_post(operator: Client) -> None:
    assert {operator.post(address).status_code for address in (LIST, ONE)} == {405}


@pytest.mark.parametrize("period", figures.PERIODS)
def test_a_viewer_sees_each_job_with_its_figures(
    viewer: Client, period: str, assert_strict: Callable[[bytes], None]
) -> None:
    happened(good=3, bad=1)
    happened(name="other.job", good=2, ms=3000)
    answer = viewer.get(LIST, {"period": period})
    assert_strict(answer.content)
    text = answer.content.decode()
    assert ADD in text
    assert "other.job" in text
    assert "25.0" in text
    assert "≤ 128 ms" in text
    assert "≤ 4.1 s" in text
    assert f"?job={ADD}&amp;after=" in text
    assert ONE in text


def test_a_job_has_a_page_of_its_own(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    happened(good=3, bad=1)
    answer = viewer.get(ONE, {"period": "1h"})
    assert_strict(answer.content)
    text = answer.content.decode()
    for words in ("Run time", "How long runs waited", "Attempts in 13 weeks", "p95 ≤ 128 ms", "&lt; 128 ms"):
        assert words in text
    assert "other.job" not in text


def test_what_did_not_run_says_so(viewer: Client) -> None:
    happened(ago=timedelta(hours=2), good=1)
    for address in (LIST, ONE):
        assert "Not run in this period." in viewer.get(address, {"period": "1h"}).content.decode()
        assert "Not run in this period." not in viewer.get(address, {"period": "24h"}).content.decode()
    assert (
        "No job of this name" in viewer.get(reverse("admin:jobs_metricminute_change", args=["gone/x"])).content.decode()
    )


def test_one_queue_can_be_asked_for(viewer: Client) -> None:
    happened(good=1)
    happened(name="other.job", queue="low", good=1)
    text = viewer.get(LIST, {"period": "1h", "queue": "low"}).content.decode()
    assert "other.job" in text
    assert ADD not in text


@pytest.mark.parametrize(
    ("order", "first"),
    [("often", "b.often"), ("failing", "c.bad"), ("running", "a.slow"), ("name", "a.slow"), ("x", "b.often")],
)
def test_the_list_has_the_order_that_is_asked_for(viewer: Client, order: str, first: str) -> None:
    happened(name="a.slow", good=1, ms=60_000)
    happened(name="b.often", good=9)
    happened(name="c.bad", bad=1)
    text = viewer.get(LIST, {"period": "1h", "order": order}).content.decode()
    assert min(("a.slow", "b.often", "c.bad"), key=lambda name: text.index(f"<code>{name}</code>")) == first


@pytest.mark.parametrize("query", [{"period": "9y"}, {"queue": "<x>"}, {"order": "'"}, {"period": ""}])
def test_what_cannot_be_asked_for_is_passed_over(viewer: Client, query: dict[str, str]) -> None:
    happened(good=1)
    assert ADD in viewer.get(LIST, query).content.decode()


def test_a_release_that_made_it_worse_is_shown(viewer: Client) -> None:
    released("r123", ago=timedelta(minutes=20))
    happened(ago=timedelta(minutes=30), good=20)
    happened(ago=timedelta(minutes=5), good=10, bad=10, ms=900)
    for address in (LIST, ONE):
        text = viewer.get(address, {"period": "1h"}).content.decode()
        assert "Since r123" in text
        assert "failures +50.0 points, p95 \N{MULTIPLICATION SIGN}8" in text


def test_the_pages_cost_the_same_however_many_jobs_there_are(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    released("r1", ago=timedelta(hours=1))
    for number in range(30):
        happened(name=f"job.{number}", good=1)
    for address in (LIST, ONE):
        with django_assert_max_num_queries(SHELL_QUERIES + 2 + 6):
            viewer.get(address)


@pytest.mark.parametrize(
    ("bound", "said"),
    [(None, "—"), (1, "≤ 1 ms"), (512, "≤ 512 ms"), (2048, "≤ 2.05 s"), (16_384, "≤ 16.4 s"), (65_536, "≤ 1 min 6 s")],
)
def test_a_bound_reads_as_one_that_holds(bound: float | None, said: str) -> None:
    assert within(bound) == said


def test_longer_than_the_last_bucket_is_said_so() -> None:
    assert within(float("inf")) == "> 1 h 10 min"


def test_no_change_is_said_in_words() -> None:
    counts = figures.Counts(succeeded=10)
    same = figures.Change(counts, counts, figures.Durations(), figures.Durations())
    assert changed(same) == "as before"
    assert not is_worse(same)
    assert changed(None) == "—"

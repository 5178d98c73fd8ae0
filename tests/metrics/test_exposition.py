"""What monitoring reads: true counters, live gauges, bounded names, and who may read it."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from jobs import RetryPolicy, fixed, metrics, queues, reconciling, recorder, totals
from jobs.broker.connection import client as redis
from jobs.errors import BrokerUnavailable
from jobs.exposition import families, numbers, page
from jobs.models import JobRun, MetricDay, MetricHour, MetricMinute, MetricTotal
from tests.engine import attempt_next, make_job
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a token of some length"
ADD = "tests.sample.add"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def with_token(settings):
    settings.JOBS = {**settings.JOBS, "METRICS_TOKEN": TOKEN}


def scrape(**headers: str) -> str:
    response = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}", **headers})
    assert response.status_code == 200
    return response.content.decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, as Prometheus' own parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def one(text: str, name: str, **labels: str) -> float | None:
    return samples(text).get((name, tuple(sorted(labels.items()))))


def everything() -> list[object]:
    """All that Redis has, and all rows that a scrape looks at."""
    kept = {key: redis().dump(key) for key in redis().keys("*")}
    return [kept, *(list(model.objects.values()) for model in (MetricTotal, JobRun, MetricMinute))]


@pytest.fixture
def run_some(make_job):
    """One that succeeds, one that fails and is retried, one that dies, and one that waits."""

    def fail():
        raise OSError

    twice = make_job(fail, name="tests.exposed.twice", retry=RetryPolicy(attempts=2, backoff=fixed(60)))
    once = make_job(fail, name="tests.exposed.dies", retry=1)

    def run() -> None:
        for job in (twice, once):
            job.enqueue()
        sample.add.enqueue(1, 2)
        for _ in range(3):
            attempt_next()
        sample.add.using(queue="low").enqueue(1, 2)
        recorder.record_all()
        metrics.carry()

    return run


@pytest.mark.usefixtures("with_token")
def test_it_says_what_happened_and_how_things_stand(run_some):
    run_some()
    text = scrape()
    assert one(text, "jobs_redis_up") == one(text, "jobs_database_up") == 1
    assert one(text, "jobs_enqueued_total", job=ADD, queue="default") == 1
    assert one(text, "jobs_enqueued_total", job=ADD, queue="low") == 1
    assert one(text, "jobs_processed_total", job=ADD, queue="default") == 1
    assert one(text, "jobs_failed_total", job="tests.exposed.twice", queue="default") == 1
    assert one(text, "jobs_retried_total", job="tests.exposed.twice", queue="default") == 1
    assert one(text, "jobs_dead_total", job="tests.exposed.dies", queue="default") == 1
    assert one(text, "jobs_run_seconds_count", job=ADD) == 1
    assert one(text, "jobs_wait_seconds_count", queue="default") == 3
    assert one(text, "jobs_wait_seconds_bucket", queue="default", le="+Inf") == 3
    assert one(text, "jobs_queue_depth", queue="low") == 1
    assert one(text, "jobs_queue_scheduled", queue="default") == 1
    assert one(text, "jobs_queue_paused", queue="default") == 0
    assert one(text, "jobs_queue_oldest_wait_seconds", queue="low") >= 0
    assert (one(text, "jobs_dead_jobs"), one(text, "jobs_retrying_runs")) == (1, 1)
    assert one(text, "jobs_recorder_lag_seconds") == 0
    assert one(text, "jobs_worker_processes") == 0


@pytest.mark.usefixtures("with_token")
def test_a_pause_and_a_circuit_are_told():
    queues.pause("low", actor="ann", reason="x")
    text = scrape()
    assert one(text, "jobs_queue_paused", queue="low") == 1
    states = {labels: value for (name, labels), value in samples(text).items() if name == "jobs_circuit_state"}
    assert all(value in (0, 1) for value in states.values())


@pytest.mark.usefixtures("with_token")
@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_a_scraper_gets_the_format_that_it_accepts(accept, run_some):
    run_some()
    text = scrape(accept=accept)
    assert text.endswith("# EOF\n") is bool(accept)
    assert "jobs_processed_total{" in text


@pytest.mark.usefixtures("with_token")
def test_a_scrape_changes_nothing_and_asks_little(run_some):
    run_some()
    scrape()
    before = everything()
    with CaptureQueriesContext(connection) as captured:
        scrape()
    assert everything() == before
    assert len(captured) <= 8
    assert not [query for query in captured if not query["sql"].startswith("SELECT")]


@pytest.mark.usefixtures("with_token")
def test_without_redis_it_answers_with_what_the_rows_know(run_some, monkeypatch):
    run_some()
    _take_away(monkeypatch)
    text = scrape()
    assert one(text, "jobs_redis_up") == 0
    assert one(text, "jobs_processed_total", job=ADD, queue="default") == 1
    assert "jobs_queue" not in text
    assert "jobs_recorder_lag" not in text
    assert one(text, "jobs_dead_jobs") == 1


@pytest.mark.usefixtures("with_token")
def test_without_the_database_it_answers_with_what_redis_knows(run_some, monkeypatch):
    run_some()

    def away(*args: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(numbers, "totals", away)
    monkeypatch.setattr("jobs.queues.standings", away)
    text = scrape()
    assert (one(text, "jobs_database_up"), one(text, "jobs_redis_up")) == (0, 1)
    assert "_total{" not in text
    assert one(text, "jobs_journal_length") == 0


def _take_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object) -> None:
        raise BrokerUnavailable("away")

    monkeypatch.setattr(numbers.inspect, "journal_now", away)


# Who may read it.


@pytest.mark.usefixtures("with_token")
@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xfc", f"bearer {TOKEN[:-1]}"]
)
def test_without_the_token_it_is_closed(given):
    response = Client().get("/metrics", headers={"authorization": given})
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert b"jobs_" not in response.content


@pytest.mark.usefixtures("with_token")
def test_a_token_in_the_address_opens_nothing():
    assert Client().get("/metrics", {"token": TOKEN}).status_code == 401


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer "])
def test_without_a_token_set_nobody_gets_in_and_the_log_says_why(given, caplog, monkeypatch):
    monkeypatch.setattr(page, "_was_told", False)
    for _ in range(2):
        assert Client().get("/metrics", headers={"authorization": given}).status_code == 404
    assert [record.message for record in caplog.records if "METRICS_TOKEN" in record.message] == [
        '/metrics was asked for, and there is no JOBS["METRICS_TOKEN"]: it answers 404 until one is set'
    ]


@pytest.mark.parametrize(("may", "status"), [(True, 200), (False, 404)])
def test_staff_who_may_see_the_console_may_read_it(may, status):
    user = User.objects.create_user("ann", is_staff=True)
    if may:
        user.user_permissions.add(Permission.objects.get(codename="view_console"))
    browser = Client()
    browser.force_login(user)
    assert browser.get("/metrics").status_code == status


@pytest.mark.usefixtures("with_token")
def test_it_is_read_only_and_not_kept():
    response = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert "no-store" in response["Cache-Control"]
    assert Client().post("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 405


# Names.


def test_names_that_are_not_registered_are_others():
    for name in (ADD, "gone.job", "gone.other"):
        MetricTotal.objects.create(name=name, queue="default", succeeded=2)
    MetricTotal.objects.create(name=ADD, queue="jobs.suspects.default", succeeded=3)
    found = {(total.job, total.queue): total.processed for total in totals.totals()}
    assert found == {(ADD, "default"): 2, ("other", "default"): 4, (ADD, "other"): 3}


def test_beyond_a_number_of_jobs_the_later_ones_are_others(monkeypatch):
    monkeypatch.setattr(totals, "JOBS_MOST", 2)
    monkeypatch.setattr(totals.registry, "names", lambda: ["a", "b", "c"])
    for name in ("c", "b", "a"):
        MetricTotal.objects.create(name=name, queue="default", succeeded=1)
    assert {total.job for total in totals.totals()} == {"c", "b", "other"}


def test_no_worker_is_named():
    assert not [one for one in families.families(numbers.take()) if any("host" in s.labels for s in one.samples)]


# Counters.


@pytest.mark.usefixtures("with_token")
def test_counters_never_go_down(run_some):
    """Over jobs that run, roll-ups, retention and a wiped Redis."""
    seen: dict[object, float] = {}

    def look() -> None:
        now = {key: value for key, value in samples(scrape()).items() if key[0].endswith(("_total", "_bucket", "_sum"))}
        assert seen.keys() <= now.keys()
        assert [key for key, value in seen.items() if now[key] < value] == []
        seen.update(now)

    dice = random.Random(3)

    def wipe() -> None:
        redis().flushdb()
        reconciling.reconcile("tester")

    def forget() -> None:
        for model in (MetricMinute, MetricHour, MetricDay):
            model.objects.all().delete()

    run_some()
    look()
    steps = [run_some, metrics.roll, metrics.prune, forget, wipe]
    for step in [*steps, *dice.choices(steps, k=6)]:
        step()
        look()
    runs = sum(value for (name, _), value in seen.items() if name == "jobs_enqueued_total")
    assert runs == JobRun.objects.count()


# The dashboard.


def exported() -> set[str]:
    found = families.families(
        dataclasses.replace(
            numbers.Numbers(),
            database_up=True,
            redis_up=True,
            dead_jobs=1,
            retrying=1,
            unpushed=1,
            processes=1,
            threads=1,
            busy=1,
            journal=numbers.JournalNow(0, 0.0),
            totals=[totals.Total("a", "b", [1] * len(totals.COLUMNS))],
            circuits={"a": "closed"},
            queues=[queues.Standing("default", 1, 1.0, 1, 1, 1, 1, 1.0, 1.0, 1.0, "drains", 1.0, 1.0, 1, 1)],
        )
    )
    return {sample.name for family in found for sample in family.samples}


def test_every_metric_that_the_dashboard_or_the_docs_name_is_exported():
    dashboard = (ROOT / "docs/grafana-dashboard.json").read_text()
    docs = (ROOT / "docs/metrics.md").read_text()
    asked = {name for target in _expressions(json.loads(dashboard)) for name in re.findall(r"\bjobs_\w+", target)}
    assert asked
    assert asked <= exported()
    table = set(re.findall(r"^\| `(jobs_\w+)", docs, re.MULTILINE))
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in exported()} == table
    rules = {name for block in re.findall(r"expr: (.*)", docs) for name in re.findall(r"\bjobs_\w+", block)}
    assert rules
    assert rules <= exported()


def _expressions(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["expr"]] if "expr" in node else []
        own += [node["query"]] if isinstance(node.get("query"), str) and "jobs_" in node["query"] else []
        return own + [one for value in node.values() for one in _expressions(value)]
    return [one for value in node for one in _expressions(value)] if isinstance(node, list) else []

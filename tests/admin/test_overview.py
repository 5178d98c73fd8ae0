"""The overview: each figure and the list that it counts, queues, charts, incidents; and what it costs Redis."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs import sweeping
from jobs.admin import shell
from jobs.broker import keys
from jobs.broker.connection import client as redis
from jobs.models import MetricMinute
from tests.admin.rows import a_dead_job, a_run

PAGE = reverse("admin:jobs_overview")
TILES = re.compile(r'<a href="([^"]+)"[^>]*><span class="jobs-tile-label">([^<]+)</span> <strong>([^<]+)</strong>')
MOST_QUERIES = 15


def tiles(client: Client, address: str = PAGE) -> dict[str, tuple[str, str]]:
    """Each tile's figure and where it leads, by its label."""
    page = client.get(address).content.decode().partition('class="jobs-tiles"')[2].partition("</ul>")[0]
    found = re.findall(
        r'<a href="([^"]+)"[^>]*><span class="jobs-tile-label">([^<]+)</span> <strong>([^<]+)</strong>', page
    )
    return {label: (value, address) for address, label, value in found}


def a_minute(**counts: int) -> MetricMinute:
    minute = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=3)
    return MetricMinute.objects.create(name="tests.charge", queue="default", minute=minute, **counts)


def text_of(client: Client, address: str = PAGE) -> str:
    page = client.get(address).content.decode().partition("<main")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_without_runs_it_says_how_to_begin(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    answer = viewer.get(PAGE)
    assert_strict(answer.content)
    assert b"No job has run yet." in answer.content
    assert b"manage.py rqworker" in answer.content


def test_each_tile_leads_to_a_page(viewer: Client, assert_strict: Callable[[bytes], None]) -> None:
    a_run("running")
    a_dead_job()
    a_minute(started=5, succeeded=3, failed=2)
    assert_strict(viewer.get(PAGE).content)
    there = tiles(viewer)
    assert list(there) == [
        *("running", "queued", "oldest wait", "scheduled", "retrying", "dead", "failed in 1 h"),
        *("not pushed", "recorder lag", "live workers", "ledger difference"),
    ]
    assert {label: value for label, (value, _address) in there.items()} == {
        **{"running": "1", "queued": "0", "oldest wait": "none", "scheduled": "0", "retrying": "0", "dead": "1"},
        **{"failed in 1 h": "2", "not pushed": "0", "recorder lag": "none", "live workers": "0"},
        "ledger difference": "unknown",
    }
    assert there["not pushed"][1].endswith("?q=is%3Aunpushed")
    for label, (_value, address) in there.items():
        assert viewer.get(address.replace("&amp;", "&")).status_code == 200, label


def test_what_waits_is_told_with_its_queue(viewer: Client) -> None:
    a_run("queued")
    ready = int(timezone.now().timestamp() * 1000) - 90_000
    redis().hset(keys.job("waits"), mapping={"ready_ms": ready, "status": "queued"})
    redis().rpush(keys.queue("low"), "waits")
    value, address = tiles(viewer)["oldest wait"]
    assert value.startswith("1 min 3")
    assert "queue=low" in address


def test_the_ledger_is_as_the_sweep_last_found_it(viewer: Client) -> None:
    a_run("queued", age=timedelta(hours=1))
    assert sweeping.last_round() is None
    sweeping.Sweep().slice()
    found = sweeping.last_round()
    assert found is not None
    assert (found.restored, found.removed) == (1, 0)
    assert tiles(viewer)["ledger difference"][0] == "1"
    sweeping.Sweep().slice()
    assert tiles(viewer)["ledger difference"][0] == "0"


@pytest.mark.parametrize(("period", "rows"), [("1h", 60), ("24h", 24), ("7d", 145), ("nonsense", 60)])
def test_charts_are_of_the_period_that_is_asked_for(viewer: Client, period: str, rows: int) -> None:
    a_run("succeeded")
    a_minute(started=5, succeeded=3, failed=2, retried=2)
    page = viewer.get(PAGE, {"period": period}).content.decode()
    assert page.count("<figure") == 4
    throughput = page.partition("<figure")[2].partition("</figure>")[0]
    assert rows <= throughput.count('<tr><th scope="row">') <= rows + 24


def test_queues_tell_what_becomes_of_them(viewer: Client) -> None:
    a_run("queued")
    redis().rpush(keys.queue("low"), "one", "two")
    text = text_of(viewer)
    assert "no live worker" in text
    assert re.search(r"low .{0,40}no live worker 2 ", text)


def test_it_asks_few_queries_however_many_runs(viewer: Client) -> None:
    for number in range(30):
        a_run("queued", name=f"tests.job{number}")
        a_minute(started=1) if not number else None
    viewer.get(PAGE)
    for period in ("1h", "24h", "7d"):
        shell.forget()
        with CaptureQueriesContext(connection) as queries:
            viewer.get(PAGE, {"period": period})
        # Two are for who asks: the session and the user.
        assert len(queries) - 2 <= MOST_QUERIES, [each["sql"][:90] for each in queries]


def test_without_redis_what_is_live_reads_unknown(viewer: Client, settings: pytest.FixtureRequest) -> None:
    a_run("running")
    settings.RQ_QUEUES = {"default": {"URL": "redis://127.0.0.1:1/0"}}  # type: ignore[attr-defined]
    values = {label: value for label, (value, _address) in tiles(viewer).items()}
    assert values["running"] == "1"
    assert {values[label] for label in ("oldest wait", "recorder lag", "live workers")} == {"unknown"}
    assert "unknown" in text_of(viewer).partition("Queues")[2]


def test_looking_changes_nothing(viewer: Client) -> None:
    a_run("queued")
    redis().rpush(keys.queue("low"), "one")
    before = redis().dbsize()
    viewer.get(PAGE)
    assert redis().dbsize() == before


def test_a_hundred_thousand_queued_jobs_cost_redis_little(viewer: Client) -> None:
    a_run("queued")
    ids = [f"run-{number}" for number in range(10_000)]
    for _ in range(10):
        redis().rpush(keys.queue("default"), *ids)
    viewer.get(PAGE)
    shell.forget()
    redis().config_resetstat()
    viewer.get(PAGE)
    spent = redis().info("commandstats")
    ours = {
        name: one["usec"] for name, one in spent.items() if name not in ("cmdstat_info", "cmdstat_config|resetstat")
    }
    assert sum(ours.values()) < 5000, ours

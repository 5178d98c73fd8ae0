"""What the rules find, of real tables and a real server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs import queues
from jobs.alerts import observing
from jobs.alerts.observing import Look
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.models import JobRun, MetricMinute, RunState, Schedule
from jobs.policy.alert_rules import KINDS
from jobs.policy.ids import first_at
from tests.engine import a_run

pytestmark = pytest.mark.django_db


def look(now: datetime | None = None, **notes: Any) -> Look:
    return observing.observe(now or timezone.now(), notes, None)


def minute(*, ago: int, **counts: int) -> None:
    at = (timezone.now() - timedelta(minutes=ago)).replace(second=0, microsecond=0)
    MetricMinute.objects.create(name="shop.charge", queue="default", minute=at, **counts)


def test_every_rule_is_looked_at() -> None:
    found = look()
    assert found.problems == {}
    assert set(found.readings) == set(KINDS)


@pytest.mark.parametrize(
    ("counts", "rate"),
    [
        ({"succeeded": 0, "failed": 1, "dead": 1}, None),
        ({"succeeded": 17, "failed": 2, "retried": 2}, None),
        ({"succeeded": 98, "failed": 2, "retried": 2}, None),
        ({"succeeded": 97, "failed": 3, "retried": 3}, 3.0),
        ({"succeeded": 10, "failed": 10, "retried": 7, "dead": 3}, 50.0),
        # What a job ends on purpose has not failed.
        ({"succeeded": 10, "discarded": 90}, None),
    ],
)
def test_the_failure_rate_of_a_job_is_of_enough_attempts(counts: dict[str, int], rate: float | None) -> None:
    minute(ago=5, **counts)
    reading = look().readings["failing"].get("shop.charge")
    assert (reading.value if reading else None) == rate


def test_what_failed_long_ago_does_not_count() -> None:
    minute(ago=20, succeeded=10, failed=90, retried=90)
    assert look().readings["failing"] == {}


def test_deaths_count_for_an_hour() -> None:
    minute(ago=50, dead=12, failed=12)
    minute(ago=70, dead=100, failed=100)
    reading = look().readings["dying"][""]
    assert (reading.value, reading.words) == (12, "12 of shop.charge")


def test_the_retry_set_is_measured_against_its_least_of_half_an_hour() -> None:
    now = timezone.now()
    first = look(now)
    for _ in range(3):
        a_run(RunState.RETRYING)
    later = look(now + timedelta(minutes=5), **first.notes)
    assert later.readings["retrying"][""].value == 3
    much_later = look(now + timedelta(minutes=40), **later.notes)
    assert much_later.readings["retrying"] == {}
    assert len(much_later.notes["retrying"]) == 1


def test_a_queue_that_nobody_works_on_is_seen_where_a_job_names_it() -> None:
    client().rpush(keys.queue("low"), "run-1")
    found = look().readings["no_worker"]
    assert found["low"].words == "1 waits in it"
    assert "critical" in found


def test_a_paused_queue_is_told_by_its_pause_and_not_by_its_wait() -> None:
    queues.pause("low", actor="ann", reason="the import")
    found = look(timezone.now() + timedelta(hours=2)).readings
    assert found["paused"]["low"].value == pytest.approx(7200, abs=60)
    assert found["paused"]["low"].words == "ann: the import"
    assert "low" not in found["wait"]
    assert "low" not in found["no_worker"]


def test_a_schedule_that_nobody_looked_at_is_late() -> None:
    due = timezone.now() - timedelta(hours=1)
    Schedule.objects.create(
        name="nightly",
        job="tests.sample.add",
        expression="0 3 * * *",
        timezone="UTC",
        created_at=due,
        created_by="ann",
        next_due_at=due,
    )
    assert "no worker has looked" in look().readings["schedule"]["nightly"].words


def test_a_run_that_does_not_get_to_redis_is_seen() -> None:
    now = timezone.now()
    for ago in (timedelta(minutes=2), timedelta(0)):
        run = a_run(RunState.QUEUED)
        JobRun.objects.filter(pk=run.pk).update(id=first_at(now - ago))
    assert look().readings["unpushed"][""].value == 1


def test_a_server_that_evicts_and_is_nearly_full_is_seen() -> None:
    used = int(client().info("memory")["used_memory"])
    client().config_set("maxmemory", int(used * 1.1))
    client().config_set("maxmemory-policy", "allkeys-lru")
    try:
        found = look().readings
    finally:
        client().config_set("maxmemory", 0)
        client().config_set("maxmemory-policy", "noeviction")
    assert found["memory"][""].value > 80
    assert "allkeys-lru" in found["eviction"][""].words


def test_without_redis_the_tables_are_looked_at_and_its_own_is_unknown(settings: Any) -> None:
    minute(ago=5, succeeded=50, failed=50, retried=50)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.RQ_QUEUES = {name: {**one, "URL": settings.REDIS_URL} for name, one in settings.RQ_QUEUES.items()}
    found = look()
    assert found.readings["redis"][""].value == 1
    assert "shop.charge" in found.readings["failing"]
    assert not {"waiting", "wait", "no_worker", "recorder", "memory", "circuit"} & set(found.readings)
    assert found.problems == {}


def test_what_cannot_be_read_is_told_and_stops_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(now: datetime) -> Any:
        raise KeyError("depth")

    monkeypatch.setitem(observing._OF_REDIS, "queues", broken)
    found = look()
    assert found.problems == {"queues": "KeyError: 'depth'"}
    assert found.readings["unchecked"]["queues"].value == 1
    assert "waiting" not in found.readings
    assert "memory" in found.readings


def test_a_look_has_few_queries_however_many_there_are(django_assert_max_num_queries: Callable[..., Any]) -> None:
    for _ in range(20):
        a_run(RunState.RETRYING)
    minute(ago=1, succeeded=100)
    with django_assert_max_num_queries(20):
        look()


def test_looking_changes_nothing_in_redis() -> None:
    client().rpush(keys.queue("low"), "run-1")
    before = sorted(client().keys("*"))
    look()
    assert sorted(client().keys("*")) == before

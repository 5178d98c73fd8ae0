"""How queues stand: by Redis, the figures and the samples."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import at_once, conf, queues
from jobs.broker import inspect, keys
from jobs.broker.connection import client
from jobs.errors import BrokerUnavailable
from jobs.models import MetricMinute, QueueSample
from tests import engine
from tests.engine import make_job
from tests.sample.jobs import add
from tests.workers.test_fleet import a_process

__all__ = ["make_job"]


@pytest.fixture(autouse=True)
def _database(transactional_db):
    pass


def figures(minutes_ago, *, queue="default", **counts):
    minute = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    MetricMinute.objects.create(name="x", queue=queue, minute=minute, **counts)


def sampled(minutes_ago, depth, queue="default"):
    minute = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    QueueSample.objects.create(queue=queue, minute=minute, depth=depth, wait_ms=0)


def test_a_queue_stands_by_what_waits_and_who_serves_it(django_assert_num_queries):
    for _ in range(3):
        add.enqueue(1, 2)
    a_process()
    engine.claim()
    with django_assert_num_queries(3):
        found = queues.standings()
    assert [one.name for one in found.queues] == conf.queue_names()
    standing = found.of("default")
    assert (standing.depth, standing.running, standing.workers, standing.threads) == (2, 1, 1, 10)
    assert standing.oldest_wait_seconds is not None
    assert found.of("low").workers == 0
    assert found.of("low").forecast == "no_worker"


def test_rates_come_from_figures_and_from_how_the_length_has_changed():
    a_process()
    sampled(5, depth=100)
    for minute in range(1, 6):
        figures(minute, started=20, succeeded=20, run_ms=20 * 3000)
    standing = queues.standings().of("default")
    assert standing.out_per_minute == 20
    assert standing.run_seconds == 3.0
    assert standing.in_per_minute is not None
    assert 0 <= standing.in_per_minute < 4
    assert standing.forecast == "idle"


def test_workers_needed_follow_the_target(jobs_settings):
    jobs_settings(QUEUE_TARGETS={"default": 6})
    for _ in range(10):
        add.enqueue(1, 2)
    figures(1, started=1, succeeded=1, run_ms=12_000)
    standing = queues.standings().of("default")
    assert standing.threads_needed == 20
    assert standing.workers_needed == 2


def test_an_attempt_that_asked_to_be_tried_later_counts_in_the_mean_run_time_too():
    figures(1, started=4, succeeded=1, retried=3, run_ms=12_000)
    assert queues.standings().of("default").run_seconds == 3.0


def test_what_waits_in_a_lane_has_waited_too_unless_a_fuse_holds_it(make_job):
    limited = make_job(lambda: None, "tests.crawl", limits=[at_once(1)])
    limited.enqueue()
    assert len(engine.claim()) == 1
    waiting = limited.enqueue()
    client().hset(keys.job(str(waiting.id)), "ready_ms", int(time.time() * 1000) - 60_000)
    oldest = queues.standings().of("default").oldest_wait_seconds
    assert oldest is not None
    assert 55 < oldest < 90
    lane = keys.fuse_lane(7, "low")
    client().zadd(keys.lanes("low"), {lane: 1})
    client().rpush(keys.lane(lane), str(waiting.id))
    assert queues.standings().of("low").oldest_wait_seconds == 0


def test_without_redis_nothing_is_known_and_nothing_raises(monkeypatch):
    def away(*_):
        raise BrokerUnavailable("away")

    monkeypatch.setattr(inspect, "queues_now", away)
    found = queues.standings()
    assert not found.answers
    standing = found.of("default")
    assert (standing.depth, standing.workers, standing.oldest_wait_seconds) == (None, None, None)
    assert standing.forecast == "unknown"
    assert queues.as_json()["redis"] is False


def test_numbers_for_an_autoscaler_are_plain_json():
    told = json.loads(json.dumps(queues.as_json()))
    assert told["queues"][0].keys() >= {"queue", "depth", "workers_needed", "threads_needed", "eta_seconds", "forecast"}


def test_a_quiet_process_serves_nobody():
    registration = a_process()
    registration.beat(busy=0, quiet=True)
    assert queues.standings().of("default").workers == 0


def test_a_sample_is_taken_once_a_minute():
    add.enqueue(1, 2)
    queues.sample()
    queues.sample()
    since = timezone.now() - timedelta(minutes=2)
    assert [depth for _, depth, _ in queues.depths("default", since=since)] == [1]
    assert QueueSample.objects.count() == len(conf.queue_names())


def test_samples_of_more_than_two_weeks_are_deleted_at_night():
    sampled(1, 5)
    assert not queues.is_anything_prunable()
    sampled(15 * 24 * 60, 5)
    assert queues.prune() == 1

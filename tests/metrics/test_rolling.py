"""Hours and days are the sums of their minutes, however often and by however many they are made."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.db.models import Sum
from django.utils import timezone

from jobs import metrics
from jobs.metrics import Minutes
from jobs.metrics.spans import start_of_day, start_of_hour
from jobs.models import MetricDay, MetricHour, MetricMinute, MetricTotal
from jobs.models.metrics import ALL_JOBS, COLUMNS

pytestmark = pytest.mark.django_db(transaction=True)


def add(ago: timedelta, *, name: str = "a", queue: str = "default", count: int = 1, run_ms: int = 5) -> None:
    ms = int((timezone.now() - ago).timestamp() * 1000)
    minutes = Minutes()
    for _ in range(count):
        minutes.succeeded(name, queue, started_ms=ms, wait_ms=3, ended_ms=ms, run_ms=run_ms)
    minutes.write()


def sums(model: type, **which: object) -> dict[str, int]:
    # Not by the database, which takes a tenth of a second to be asked for so many sums.
    rows = list(model.objects.filter(**which).values_list(*COLUMNS))
    return {column: sum(row[place] for row in rows) for place, column in enumerate(COLUMNS)}


def assert_all_agree() -> None:
    minutes = sums(MetricMinute)
    for model in (MetricHour, MetricDay):
        assert minutes == sums(model, name=ALL_JOBS)
        assert sums(model) == {column: 2 * count for column, count in minutes.items()}


def test_hours_and_days_are_the_sums_of_their_minutes():
    roller = random.Random(7)
    for _ in range(40):
        ago = timedelta(minutes=roller.randrange(60 * 30))
        add(ago, name=roller.choice("ab"), queue=roller.choice(["x", "y"]), run_ms=roller.randrange(10**6))
    while metrics.roll() == 12:
        pass
    assert_all_agree()
    for hour in MetricHour.objects.exclude(name=ALL_JOBS):
        own = MetricMinute.objects.filter(
            name=hour.name, queue=hour.queue, minute__gte=hour.hour, minute__lt=hour.hour + timedelta(hours=1)
        )
        assert hour.succeeded == own.aggregate(sum=Sum("succeeded"))["sum"]
        assert hour.hour == start_of_hour(hour.hour)
    assert {day.day for day in MetricDay.objects.all()} == {start_of_day(h.hour) for h in MetricHour.objects.all()}


def everything() -> list[object]:
    return [list(model.objects.order_by("pk").values()) for model in (MetricHour, MetricDay)]


def test_to_roll_again_changes_nothing():
    for hours in range(5):
        add(timedelta(hours=hours))
    metrics.roll()
    before = everything()
    metrics.roll()
    assert everything() == before


def test_what_is_rolled_up_is_not_looked_at_again():
    add(timedelta(hours=30))
    assert metrics.roll() == 1
    assert metrics.roll() == 0


def test_a_minute_that_comes_late_is_in_its_hour_once():
    add(timedelta(hours=30))
    metrics.roll()
    add(timedelta(hours=30), count=2)
    add(timedelta(hours=30), name="b")
    assert metrics.roll() == 1
    assert metrics.roll() == 0
    assert_all_agree()
    assert sum(hour.succeeded for hour in MetricHour.objects.exclude(name=ALL_JOBS)) == 4


def test_the_hour_that_goes_on_is_there_as_far_as_it_went():
    add(timedelta(0))
    metrics.roll()
    add(timedelta(0))
    metrics.roll()
    assert_all_agree()


def test_what_comes_after_its_minutes_were_deleted_is_added():
    old = metrics.KEPT + timedelta(hours=5)
    hour = start_of_hour(timezone.now() - old)
    MetricHour.objects.create(name="a", queue="default", hour=hour, succeeded=100, run_05=100)
    MetricDay.objects.create(name="a", queue="default", day=start_of_day(hour), succeeded=300)
    minutes = Minutes()
    ms = int(hour.timestamp() * 1000)
    minutes.succeeded("a", "default", started_ms=ms, wait_ms=3, ended_ms=ms, run_ms=20)
    minutes.write()
    for _ in range(2):
        metrics.roll()
    assert MetricHour.objects.get(name="a").succeeded == 101
    assert MetricHour.objects.get(name="a").run_05 == 101
    assert MetricHour.objects.get(name=ALL_JOBS).succeeded == 1
    assert MetricDay.objects.get(name="a").succeeded == 301
    assert not MetricMinute.objects.exists()


def test_several_that_roll_at_once_do_no_harm():
    for hours in range(8):
        add(timedelta(hours=hours), count=3)
    failures: list[BaseException] = []

    def roll() -> None:
        try:
            for _ in range(3):
                metrics.roll()
                add(timedelta(hours=2))
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=roll) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    metrics.roll()
    assert_all_agree()
    assert sums(MetricMinute)["succeeded"] == 8 * 3 + 9


def test_all_can_be_made_anew_from_the_minutes():
    for hours in (0, 1, 2, 26, 50):
        add(timedelta(hours=hours))
    metrics.roll()
    MetricHour.objects.update(succeeded=999)
    MetricDay.objects.all().delete()
    assert metrics.rebuild() >= 5
    assert_all_agree()


def test_what_is_not_rolled_up_yet_is_not_deleted():
    add(metrics.KEPT + timedelta(hours=5))
    assert not metrics.is_anything_prunable()
    assert metrics.prune() == 0


def test_retention_takes_no_total_away():
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    add(timezone.now() - long_ago)
    metrics.roll()
    assert metrics.is_anything_prunable()
    assert metrics.prune() == 4
    assert not MetricHour.objects.exists()
    assert not MetricDay.objects.exists()
    assert MetricTotal.objects.get().succeeded == 1

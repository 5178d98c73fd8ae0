"""Schedules under real workers: each due time has one run, whatever dies, and a long absence has what policies say."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from jobs import schedules
from jobs.models import JobRun, RunState, Schedule, ScheduleTick
from jobs.models.schedules import TickState
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, children_of, wait_until

pytestmark = pytest.mark.slow

SCHEDULES = 40
MINUTES = 6
WORKERS = 3


def minutes_away_from_now(now: datetime) -> str:
    """An expression for each ten minutes, whose next time is some minutes away."""
    minutes = sorted((now.minute + 5 + 10 * number) % 60 for number in range(6))
    return f"{','.join(map(str, minutes))} * * * *"


def add(name: str, number: int, expression: str, *, since: datetime, **terms: object) -> Schedule:
    """A schedule that nobody has looked at since then."""
    told = {"job": "tests.sample.add", "arguments": {"left": number, "right": 0}, "timezone": "UTC", **terms}
    schedule = schedules.add(name, {**told, "expression": expression}, actor="test")
    due = schedules.next_times(expression, "UTC", 1, after=since)[0].at
    Schedule.objects.filter(pk=schedule.pk).update(next_due_at=due, look_at=due)
    return schedule


def test_each_due_time_has_one_run_while_tickers_die_at_every_statement(workers: Workers) -> None:
    since = timezone.now() - timedelta(minutes=MINUTES)
    for number in range(SCHEDULES):
        add(f"s{number}", number, "* * * * *", since=since, missed="all", most_missed=60)
    chance = {"JOBS_FAILPOINT": "after_tick:kill@0.01,before_tick_commit:kill@0.01,before_push:kill@0.05"}
    started = [workers.start("--concurrency", "2", SAMPLE_SCHEDULES="1", **chance) for _ in range(WORKERS)]
    wait_until(lambda: ticks_of_ours().values("schedule").distinct().count() >= SCHEDULES // 4, seconds=60)
    # One whole host goes, with its supervisor and its children, and another comes.
    for pid in [started[0].pid, *children_of(started[0].pid)]:
        os.kill(pid, signal.SIGKILL)
    workers.start("--concurrency", "2", SAMPLE_SCHEDULES="1")
    wait_until(lambda: not ours().filter(next_due_at__lte=timezone.now()).exists(), seconds=60)
    wait_until(all_succeeded, seconds=60, what="the runs")
    assert workers.log().count("the recording process ended with status -9") >= 3
    ticks = list(ticks_of_ours().values_list("schedule", "due_at", "state", "run"))
    assert {state for _, _, state, _ in ticks} == {TickState.ASKED}
    assert len({run for *_, run in ticks}) == len(ticks) == runs().count()
    for key in ours().values_list("pk", flat=True):
        dues = sorted(due for schedule, due, *_ in ticks if schedule == key)
        assert len(dues) >= MINUTES
        assert dues == [dues[0] + timedelta(minutes=number) for number in range(len(dues))]
    assert set(Counter(workers.ledger())) == {f"add {number} 0" for number in range(SCHEDULES)}


POLICIES = {
    "once": ({"missed": "once"}, 1),
    "skip": ({"missed": "skip", "grace": 600}, 1),
    "skipped": ({"missed": "skip", "grace": 1}, 0),
    "all": ({"missed": "all", "most_missed": 5}, 5),
    "every": ({"missed": "all", "most_missed": 100}, 18),
}


def test_three_hours_without_workers_have_the_runs_that_each_policy_says(workers: Workers) -> None:
    now = timezone.now()
    expression = minutes_away_from_now(now)
    expected = {}
    for number, (missed, (terms, count)) in enumerate(POLICIES.items()):
        for overlap in ("allow", "skip", "queue"):
            name = f"{missed} {overlap}"
            # What waits is looked at once a second.
            told = {**terms, "overlap": overlap, "most_waiting": 3}
            add(name, number, expression, since=now - timedelta(hours=3), **told)
            expected[name] = {"allow": count, "skip": min(count, 1), "queue": min(count, 4)}[overlap]
    for _ in range(WORKERS):
        workers.start("--concurrency", "2", SAMPLE_SCHEDULES="1")
    wait_until(lambda: runs_by_schedule() == expected, seconds=60, what="the runs of all policies")
    wait_until(all_succeeded, what="their ends")
    # Nothing comes after.
    time.sleep(1.5)
    assert runs_by_schedule() == expected
    told = {"missed": 0, "skipped": 0}
    for tick in ticks_of_ours().filter(state__in=told):
        told[tick.state] += tick.count
    assert runs().count() + told["missed"] + told["skipped"] == 18 * len(expected)


def runs_by_schedule() -> dict[str, int]:
    names = ScheduleTick.objects.filter(state=TickState.ASKED).values_list("schedule__name", flat=True)
    found = Counter(names)
    return {name: found[name] for name in ours().values_list("name", flat=True)}


def ours() -> QuerySet[Schedule]:
    """Without those that the shop's code declares."""
    return Schedule.objects.filter(by_code=False)


def ticks_of_ours() -> QuerySet[ScheduleTick]:
    return ScheduleTick.objects.filter(schedule__by_code=False)


def runs() -> QuerySet[JobRun]:
    return JobRun.objects.filter(name=sample.add.name)


def all_succeeded() -> bool:
    return not runs().exclude(state=RunState.SUCCEEDED).exists()

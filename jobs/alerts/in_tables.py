"""What rules look at in the tables: all of it is known also while Redis is away. Nothing here goes over all runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, Sum

from jobs import queues, schedules, workflows
from jobs.figures.values import Counts, read
from jobs.models import JobRun, MetricMinute, QueuePause, RunState
from jobs.models.metrics import ENDED
from jobs.policy.alerting import Reading
from jobs.policy.ids import first_at

ByScope = dict[str, Reading]
Found = dict[str, ByScope]
Notes = list[tuple[str, int]]

FAILING_WITHIN = timedelta(minutes=15)
DYING_WITHIN = timedelta(hours=1)
GROWING_WITHIN = timedelta(minutes=30)
# One failure of one attempt is no rate.
LEAST_ATTEMPTS = 20
LEAST_FAILURES = 3
# No counting goes further: what is beyond is too many anyway.
_MOST_COUNTED = 10_000
_UNPUSHED_AFTER = timedelta(seconds=60)
_NOTE_EVERY = timedelta(seconds=60)
# Findings that say that something did not start. The others say that a row differs from the code.
_NOT_STARTED = ("late", "overdue", "failed")


def figures(now: datetime) -> Found:
    """The failure rate of each job, and how many runs died within the hour, by one query for both."""
    lately = now - FAILING_WITHIN
    rows = MetricMinute.objects.filter(minute__gte=now - DYING_WITHIN, minute__lte=now).order_by()
    counted = {f"sum_{one}": Sum(one, filter=Q(minute__gte=lately), default=0) for one in ("failed", *ENDED)}
    sums = rows.values("name").annotate(**counted, deaths=Sum("dead"))
    found = list(sums)
    deaths = {one["name"]: one["deaths"] for one in found if one["deaths"]}
    return {
        "failing": {one["name"]: reading for one in found if (reading := _failing(read(one)[0]))},
        "dying": {"": Reading(sum(deaths.values()), _most(deaths))} if deaths else {},
    }


def _failing(counts: Counts) -> Reading | None:
    rate = counts.failure_rate
    if rate is None or counts.ended < LEAST_ATTEMPTS or counts.failed < LEAST_FAILURES:
        return None
    minutes = FAILING_WITHIN.total_seconds() / 60
    return Reading(100 * rate, f"{counts.failed:,} of {counts.ended:,} attempts in {minutes:.0f} minutes")


def _most(deaths: dict[str, int]) -> str:
    first = sorted(deaths.items(), key=lambda one: (-one[1], one[0]))[:3]
    return ", ".join(f"{count:,} of {name}" for name, count in first)


def retrying(now: datetime, notes: Notes) -> tuple[Found, Notes]:
    """By how many the runs that wait for a retry have become more within half an hour; and the notes for later."""
    rows = JobRun.objects.filter(state=RunState.RETRYING).order_by().values("pk")[: _MOST_COUNTED + 1]
    count = rows.count()
    kept = [(at, number) for at, number in notes if now - datetime.fromisoformat(at) <= GROWING_WITHIN]
    fewest = min([number for _, number in kept], default=count)
    last = datetime.fromisoformat(kept[-1][0]) if kept else None
    if last is None or now - last >= _NOTE_EVERY:
        kept.append((now.isoformat(), count))
    # Where counting ends nobody sees it grow any more, and it is too many.
    grown = _MOST_COUNTED if count > _MOST_COUNTED else count - fewest
    return {"retrying": {"": Reading(grown, f"{count:,} runs wait for a retry")} if grown > 0 else {}}, kept


def late_schedules(now: datetime) -> Found:
    """Schedules of which something due did not start."""
    said: dict[str, list[str]] = {}
    for finding in schedules.findings():
        if finding.kind in _NOT_STARTED:
            said.setdefault(finding.schedule, []).append(finding.words)
    return {"schedule": {name: Reading(len(words), words[-1][:400]) for name, words in said.items()}}


def stalled_workflows(now: datetime) -> Found:
    """Workflows that were told of as stalled and have not moved since."""
    found = list(workflows.stalled().filter(stalled_at__isnull=False)[:4])
    if not found:
        return {"workflow": {}}
    named = ", ".join(str(one) for one in found[:3]) + (" and more" if len(found) > 3 else "")
    return {"workflow": {"": Reading(len(found), named[:400])}}


def unpushed(now: datetime) -> Found:
    """Runs that were asked for and are not in Redis: the relay's work, which does not get done."""
    rows = JobRun.objects.filter(pushed_at__isnull=True, state__in=["queued", "scheduled", "retrying"])
    # Ids sort by the time of asking, so what is being pushed now is not gone over.
    old = rows.filter(pk__lt=first_at(now - _UNPUSHED_AFTER)).order_by().values("pk")[: _MOST_COUNTED + 1]
    count = old.count()
    return {"unpushed": {"": Reading(count)} if count else {}}


def pauses(now: datetime) -> Found:
    """Queues that are paused: for how long, by whom and why."""
    return {"paused": {name: _pause(row, now) for name, row in queues.paused().items()}}


def _pause(row: QueuePause, now: datetime) -> Reading:
    return Reading((now - row.paused_at).total_seconds(), f"{row.actor}: {row.reason}"[:400], row.paused_at)

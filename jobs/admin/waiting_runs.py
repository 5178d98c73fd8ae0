"""The page about runs that wait for a time, soonest first: those that are due later, and those between two attempts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Min, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import workers
from jobs.admin import access
from jobs.admin.console import ConsoleAdmin
from jobs.admin.keyset import COUNT_CAP, PAGE_SIZE, capped_counts, key_or_none
from jobs.admin.redis_now import answers
from jobs.admin.search import parse_iso
from jobs.models import JobRun, RunState, Schedule
from jobs.models.schedules import ScheduleTick, TickState

TABS = {RunState.SCHEDULED.value: gettext_lazy("Scheduled"), RunState.RETRYING.value: gettext_lazy("Retries")}
SPANS = {
    "overdue": gettext_lazy("overdue"),
    "minute": gettext_lazy("within a minute"),
    "hour": gettext_lazy("within an hour"),
    "day": gettext_lazy("within a day"),
    "later": gettext_lazy("later"),
}
# What is due is moved to its queue within a second where a worker lives.
OVERDUE_AFTER = timedelta(seconds=5)
_SHOWN = (
    *("name", "queue", "state", "arguments", "attempts", "max_attempts", "created_at", "due_at", "parent", "batch_id"),
    *("error_class", "error_message"),
)


@dataclass(frozen=True)
class Waiting:
    """A run that waits, and the tick of the schedule that asked for it."""

    run: JobRun
    tick: ScheduleTick | None
    is_overdue: bool


def waiting_page(console: ConsoleAdmin, request: HttpRequest) -> HttpResponse:
    """What is due when: one tab for runs that were asked for later, one for retries."""
    now = timezone.now()
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else RunState.SCHEDULED.value
    span = request.GET.get("due", "")
    spans = _spans(now)
    asked = JobRun.objects.filter(spans.get(span, Q()) & _after(request), state=tab, due_at__isnull=False)
    rows = list(asked.only(*_SHOWN).order_by("due_at", "pk")[: PAGE_SIZE + 1])
    counts = _counts(spans)
    return console.page(
        request,
        "waiting.html",
        title=_("Scheduled and retries"),
        tabs=[(name, label, counts[name], counts[name] > COUNT_CAP) for name, label in TABS.items()],
        tab=tab,
        spans=[(name, label, counts[f"{tab} {name}"]) for name, label in SPANS.items()],
        span=span if span in SPANS else "",
        cap=COUNT_CAP,
        overdue=counts[f"{tab} overdue"],
        last_beat=workers.last_seen() if counts[f"{tab} overdue"] else None,
        there=_with_ticks(rows[:PAGE_SIZE], now),
        last=rows[PAGE_SIZE - 1] if len(rows) > PAGE_SIZE else None,
        next_schedule=_next_schedule() if not rows else None,
        may_reschedule=access.may(request, access.RESCHEDULE),
        may_cancel=access.may(request, access.CANCEL),
        is_down=not answers(),
    )


def _spans(now: datetime) -> dict[str, Q]:
    """What is due when, each without the ones before it."""
    bounds = [
        now - OVERDUE_AFTER,
        now + timedelta(minutes=1),
        now + timedelta(hours=1),
        now + timedelta(days=1),
    ]
    first, last = Q(due_at__lt=bounds[0]), Q(due_at__gte=bounds[-1])
    between = [Q(due_at__gte=low, due_at__lt=high) for low, high in pairwise(bounds)]
    return dict(zip(SPANS, [first, *between, last], strict=True))


def _counts(spans: dict[str, Q]) -> dict[str, int]:
    there = {tab: JobRun.objects.filter(state=tab, due_at__isnull=False) for tab in TABS}
    narrowed = {f"{tab} {name}": rows.filter(span) for tab, rows in there.items() for name, span in spans.items()}
    return capped_counts({**there, **narrowed}, on=JobRun.objects.all())


def _after(request: HttpRequest) -> Q:
    """Those after the last of the page before, by when they are due and then by id."""
    key = key_or_none(request.GET.get("after"), uuid.UUID)
    try:
        due = parse_iso(request.GET.get("after_due", ""))
    except ValueError:
        due = None
    if key is None or due is None:
        return Q()
    return Q(due_at__gte=due) & (Q(due_at__gt=due) | Q(pk__gt=key))


def _with_ticks(rows: list[JobRun], now: datetime) -> list[Waiting]:
    ticks = ScheduleTick.objects.filter(run__in=[run.pk for run in rows], state=TickState.ASKED)
    of_run: dict[Any, ScheduleTick] = {tick.run: tick for tick in ticks.select_related("schedule")} if rows else {}
    return [Waiting(run, of_run.get(run.pk), _is_overdue(run, now)) for run in rows]


def _is_overdue(run: JobRun, now: datetime) -> bool:
    return run.due_at is not None and run.due_at < now - OVERDUE_AFTER


def _next_schedule() -> datetime | None:
    soonest: datetime | None = Schedule.objects.aggregate(soonest=Min("next_due_at"))["soonest"]
    return soonest

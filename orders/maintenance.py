"""What is done now and then: which duties a day has, and doing them. The day is an argument, so any can be tried."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from enum import StrEnum

from django.contrib.sessions.models import Session
from django.utils import timezone

from orders import exports, stock_files
from orders.models import Issue, Stall
from orders.periods import month_before

KEEP_STALLS = timedelta(days=90)
KEEP_DRAFTS = timedelta(days=365)


class Duty(StrEnum):
    """What some days have."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


def duties(today: date) -> list[Duty]:
    """What there is to do on a day: weekly work on Mondays, monthly work on the first.

    >>> [str(duty) for duty in duties(date(2026, 6, 1))]
    ['daily', 'weekly', 'monthly']
    """
    due = {Duty.DAILY: True, Duty.WEEKLY: today.weekday() == 0, Duty.MONTHLY: today.day == 1}
    return [duty for duty, is_due in due.items() if is_due]


def do(duty: Duty, today: date, *, on_month_over: Callable[[str], object]) -> dict[str, int]:
    """Do what one duty is. Returns what was done, counted; `on_month_over` is told the last month that is over."""
    match duty:
        case Duty.DAILY:
            return {"exports": exports.throw_away_old(timezone.now()), "sessions": _end_sessions(timezone.now())}
        case Duty.WEEKLY:
            return {"stock files": stock_files.throw_away_old(timezone.now())}
        case Duty.MONTHLY:
            on_month_over(month_before(today))
            return {"stalls": _forget_stalls(timezone.now()), "drafts": _forget_drafts(timezone.now())}


def _end_sessions(now: datetime) -> int:
    return Session.objects.filter(expire_date__lt=now).delete()[0]


def _forget_stalls(now: datetime) -> int:
    return Stall.objects.filter(found_at__lt=now - KEEP_STALLS).delete()[0]


def _forget_drafts(now: datetime) -> int:
    drafts = Issue.objects.filter(sending_at__isnull=True, is_ready=False)
    return drafts.filter(written_at__lt=now - KEEP_DRAFTS).delete()[0]

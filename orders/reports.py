"""What was sold in a day or a month. Made again, a report says what is true by then."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Count, F, Sum
from django.utils import timezone

from orders import periods
from orders.models import Customer, Order, OrderLine, Payment, PaymentOutcome, Report, ReportKind
from orders.periods import Period

KEEP_DAILY_DAYS = 30
_BEST_SELLERS = 5


def make_monthly(month: str) -> Report:
    """The report of a month that is written as 2026-05. Raises `periods.NotAPeriod`."""
    return _make(ReportKind.MONTHLY, month, periods.month(month))


def make_daily(day: str) -> Report:
    """The report of a day that is written as 2026-05-17. Raises `periods.NotAPeriod`."""
    return _make(ReportKind.DAILY, day, periods.day(day))


def prune_daily(today: date) -> int:
    """Delete the reports of days that are over for more than 30 days. Returns how many. Those of months stay."""
    oldest = (today - timedelta(days=KEEP_DAILY_DAYS)).isoformat()
    return Report.objects.filter(kind=ReportKind.DAILY, period__lt=oldest).delete()[0]


def figures(period: Period) -> dict[str, Any]:
    """What was sold, as plain JSON. Money is in cents, and counted when it came or went."""
    first, until = period.bounds(timezone.get_default_timezone())
    paid = Order.objects.filter(paid_at__gte=first, paid_at__lt=until)
    refunded = Order.objects.filter(refunded_at__gte=first, refunded_at__lt=until)
    return {
        "orders": Order.objects.filter(placed_at__gte=first, placed_at__lt=until).count(),
        "customers": Customer.objects.filter(created_at__gte=first, created_at__lt=until).count(),
        "paid": paid.count(),
        "paid_cents": _cents(paid),
        "refunded": refunded.count(),
        "refunded_cents": _cents(refunded),
        "declined": Payment.objects.filter(
            outcome=PaymentOutcome.DECLINED, finished_at__gte=first, finished_at__lt=until
        ).count(),
        "shipped": Order.objects.filter(shipped_at__gte=first, shipped_at__lt=until).count(),
        "best_sellers": _best_sellers(first, until),
    }


def _make(kind: ReportKind, name: str, period: Period) -> Report:
    facts = {"figures": figures(period), "made_at": timezone.now()}
    return Report.objects.update_or_create(kind=kind, period=name, defaults=facts)[0]


def _cents(orders: models.QuerySet[Order]) -> int:
    return orders.aggregate(sum=Sum("total_cents"))["sum"] or 0


def _best_sellers(first: datetime, until: datetime) -> list[dict[str, Any]]:
    sold = OrderLine.objects.filter(order__paid_at__gte=first, order__paid_at__lt=until)
    counted = sold.values(name=F("product__name")).annotate(
        pieces=Sum("quantity"), orders=Count("order"), cents=Sum(F("quantity") * F("unit_price_cents"))
    )
    return [dict(one) for one in counted.order_by("-pieces", "name")[:_BEST_SELLERS]]

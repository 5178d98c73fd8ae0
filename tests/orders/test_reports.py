"""Reports and maintenance: any day can be tried, for the day is a plain string."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import errors, schedules
from jobs.models import JobRun, JobStep
from jobs.testing import drain
from jobs.timetable import declared
from orders import maintenance, periods, reports
from orders.jobs import maintain, make_daily_report, make_monthly_report
from orders.models import Order, Report, Stall
from orders.periods import NotAPeriod
from tests.orders import history
from tests.orders.making import a_product
from tests.orders.test_exports import NOON, media

__all__ = ["media"]


@pytest.fixture(autouse=True)
def _media(media: Path) -> None:
    """Files are thrown away from a folder of the test's own."""


@pytest.mark.parametrize("text", ["", "2026", "2026-5", "2026-13", "2026-00", "2026-05-17", "may"])
def test_what_is_no_month_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(NotAPeriod, match="2026-05"):
        periods.month(text)


@pytest.mark.parametrize("text", ["", "2026-05", "2026-02-29", "17.5.2026"])
def test_what_is_no_day_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(NotAPeriod, match="2026-05-17"):
        periods.day(text)


@pytest.mark.django_db
def test_a_months_report_counts_what_was_sold_in_it() -> None:
    hammer = a_product(price_cents=1000)
    history.orders(3, placed_at=NOON, product=hammer, paid_at=NOON)
    Order.objects.filter(number="O-0000002").update(paid_at=NOON + timedelta(days=20), refunded_at=NOON)
    make_monthly_report.enqueue("2026-05")
    drain()
    figures = Report.objects.get(kind="monthly", period="2026-05").figures
    assert (figures["orders"], figures["paid"], figures["paid_cents"]) == (3, 2, 2000)
    assert (figures["refunded"], figures["refunded_cents"]) == (1, 1000)
    assert figures["best_sellers"] == [{"name": "Claw hammer", "pieces": 2, "orders": 2, "cents": 2000}]


@pytest.mark.django_db
def test_a_report_made_again_says_what_is_true_by_then() -> None:
    reports.make_daily("2026-05-17")
    history.orders(1, placed_at=NOON)
    reports.make_daily("2026-05-17")
    assert Report.objects.get().figures["orders"] == 1


@pytest.mark.django_db
def test_a_month_that_is_none_is_dead_at_once() -> None:
    run = make_monthly_report.enqueue("May")
    drain(due=True)
    assert (run.state, run.row().attempts) == ("dead", 1)


@pytest.mark.django_db
def test_the_daily_report_is_of_the_day_before_and_prunes_those_of_30_days_ago() -> None:
    for days in (29, 30, 31, 32):
        reports.make_daily((date(2026, 5, 17) - timedelta(days=days)).isoformat())
    reports.make_monthly("2025-01")
    make_daily_report.enqueue("2026-05-17")
    drain()
    days = Report.objects.filter(kind="daily").order_by("period")
    assert list(days.values_list("period", flat=True)) == ["2026-04-17", "2026-04-18", "2026-05-16"]
    assert Report.objects.filter(kind="monthly").count() == 1


def test_the_daily_report_is_due_at_two_and_what_was_missed_is_made_up_for() -> None:
    terms = declared()["orders.make_daily_report"]
    assert terms.expression == "0 2 * * *"
    assert (terms.missed, terms.most_missed) == ("all", 7)
    assert terms.arguments == {"today": "{day}"}


@pytest.mark.django_db
def test_the_schedules_ask_for_the_days_report_and_for_what_the_first_of_a_month_has() -> None:
    with time_machine.travel(datetime(2026, 5, 31, 12, tzinfo=UTC), tick=False) as clock:
        schedules.sync(actor="deploy")
        clock.move_to(datetime(2026, 6, 1, 3, 31, tzinfo=UTC))
        schedules.tick()
        drain()
        asked = JobRun.objects.filter(name__in=[make_daily_report.name, maintain.name])
        assert [run.arguments for run in asked] == [{"today": "2026-06-01"}] * 2
        assert set(Report.objects.values_list("kind", "period")) == {("daily", "2026-05-31"), ("monthly", "2026-05")}


@pytest.mark.parametrize(
    ("today", "found"),
    [
        ("2026-05-17", ["daily"]),
        ("2026-05-18", ["daily", "weekly"]),
        ("2026-05-01", ["daily", "monthly"]),
        ("2026-06-01", ["daily", "weekly", "monthly"]),
        ("2024-02-29", ["daily"]),
    ],
)
def test_the_date_decides_what_there_is_to_do(today: str, found: list[str]) -> None:
    assert maintenance.duties(date.fromisoformat(today)) == found


@pytest.mark.django_db
def test_the_first_of_a_month_asks_for_the_report_of_the_month_before() -> None:
    maintain.enqueue("2026-01-01")
    drain()
    assert list(Report.objects.values_list("period", flat=True)) == ["2025-12"]


@pytest.mark.django_db
def test_daily_weekly_and_monthly_work_is_done_once_also_when_a_later_one_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Session.objects.create(session_key="old", session_data="", expire_date=timezone.now() - timedelta(days=1))
    history.orders(1)
    Stall.objects.create(
        order=Order.objects.get(), step="stock", is_asked_again=True, found_at=timezone.now() - timedelta(days=91)
    )
    run = maintain.enqueue("2026-06-01")
    monkeypatch.setattr(maintenance, "_forget_stalls", lambda now: 1 / 0)
    drain()
    assert run.state == "retrying"
    assert set(JobStep.objects.filter(run=run.id).values_list("name", flat=True)) == {"daily", "weekly"}
    monkeypatch.undo()
    drain(due=True)
    assert run.result == {
        "daily": {"exports": 0, "sessions": 1},
        "weekly": {"stock files": 0},
        "monthly": {"stalls": 1, "drafts": 0},
    }
    asked = JobRun.objects.filter(name="orders.make_monthly_report")
    assert [one.arguments for one in asked] == [{"month": "2026-05"}]


def test_days_are_plain_strings_that_a_run_refuses_where_they_are_none(db: None) -> None:
    with pytest.raises(errors.ArgumentsNotJSON):
        maintain.enqueue(date(2026, 5, 17))


@pytest.fixture
def accountant(db: None) -> Client:
    """Somebody who may ask for reports."""
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="add_report"))
    client = Client()
    client.force_login(user)
    return client


def test_staff_ask_for_a_month_and_read_its_report(accountant: Client) -> None:
    history.orders(2, placed_at=NOON, paid_at=NOON)
    accountant.post(reverse("staff_reports"), {"month": "2026-05"})
    drain()
    assert "2026-05" in accountant.get(reverse("staff_reports")).content.decode()
    page = accountant.get(reverse("staff_report", args=["monthly", "2026-05"])).content.decode()
    assert "Old hammer" in page
    assert accountant.get(reverse("staff_report", args=["monthly", "2026-04"])).status_code == 404


@pytest.mark.parametrize("month", ["2026-13", "x", "", "2999-01"])
def test_a_month_that_makes_no_sense_comes_back_marked(accountant: Client, month: str) -> None:
    assert accountant.post(reverse("staff_reports"), {"month": month}).status_code == 400
    assert not JobRun.objects.exists()


def test_only_who_may_asks_for_reports_and_all_staff_may_look(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("olga", is_staff=True))
    assert client.get(reverse("staff_reports")).status_code == client.get(reverse("staff_office")).status_code == 200
    assert client.post(reverse("staff_reports"), {"month": "2026-05"}).status_code == 403


def test_visitors_see_nothing_of_the_office(client: Client, db: Any) -> None:
    for name in ("staff_office", "staff_reports", "staff_exports", "staff_issues", "staff_stock_files", "staff_stalls"):
        assert client.get(reverse(name)).status_code == 302

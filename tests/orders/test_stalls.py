"""Orders that stand still are found after an hour and asked for again, and nothing else is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import runs
from jobs.models import DeadJob, JobRun
from jobs.testing import drain
from orders import stalls
from orders.jobs import RECOVERY, process_order, recover_stalled_orders
from orders.models import Order, Stall
from orders.partners.gateway import Gateway
from orders.partners.mailbox import Mailbox

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1, minutes=1)


@pytest.fixture
def stalled(order: Order) -> Order:
    """An order of two hours ago that nobody knows of any more."""
    JobRun.objects.all().delete()
    drain()
    age(order)
    return order


def age(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(placed_at=timezone.now() - timedelta(hours=2))
    order.refresh_from_db()


def look(after: timedelta = timedelta(0)) -> int:
    return stalls.recover(RECOVERY, timezone.now() + after)


@pytest.mark.usefixtures("gateway", "warehouse_partner", "mailbox")
def test_an_order_that_nobody_knows_of_is_processed_after_an_hour(stalled: Order) -> None:
    recover_stalled_orders.enqueue()
    drain()
    stalled.refresh_from_db()
    assert stalled.is_ready_to_ship
    assert stalled.confirmation_sent_at
    assert list(Stall.objects.values_list("step", "is_asked_again")) == [("processing", True)]
    assert look(HOUR) == 0


@pytest.mark.usefixtures("gateway", "warehouse_partner", "mailbox")
def test_only_the_step_that_is_missing_is_asked_for(order: Order) -> None:
    drain()
    Order.objects.filter(pk=order.pk).update(confirmation_sent_at=None, stocked_at=None)
    JobRun.objects.filter(name__in=["orders.send_order_confirmation", "orders.update_inventory"]).delete()
    age(order)
    assert look() == 2
    assert set(Stall.objects.values_list("step", flat=True)) == {"stock", "confirmation"}


def test_an_order_of_less_than_an_hour_is_left_alone(order: Order) -> None:
    JobRun.objects.all().delete()
    assert look() == 0


def test_what_is_under_way_goes_on_by_itself(order: Order) -> None:
    age(order)
    assert look() == 0
    assert not Stall.objects.exists()


def test_what_a_person_stopped_stays_so(order: Order) -> None:
    runs.cancel(JobRun.objects.get(name="orders.process_order"), actor="ann", reason="a test order")
    age(order)
    assert look() == 0


@pytest.mark.usefixtures("warehouse_partner", "mailbox")
def test_a_payment_that_died_with_the_gateway_is_revived_when_it_is_back(order: Order, gateway: Gateway) -> None:
    gateway.set_mode("error")
    drain(due=True)
    assert DeadJob.objects.get().name == "orders.charge_order"
    age(order)
    gateway.set_mode("ok")
    assert look() == 1
    drain(due=True)
    order.refresh_from_db()
    assert order.is_ready_to_ship
    assert order.invoice.file
    assert len(gateway.ledger()) == 1
    burial = DeadJob.objects.get()
    assert (burial.resolution, burial.resolved_by) == ("requeued", "orders.recover_stalled_orders")


@pytest.mark.usefixtures("warehouse_partner")
def test_three_times_an_hour_apart_and_then_the_operators_are_told_once(
    order: Order, gateway: Gateway, mailbox: Mailbox
) -> None:
    gateway.set_mode("error")
    drain(due=True)
    age(order)
    asked = []
    for turn in range(6):
        asked.append(look(turn * HOUR))
        assert look(turn * HOUR) == 0
        drain(due=True)
    assert asked == [1, 1, 1, 0, 0, 0]
    told = [mail for mail in mailbox.messages() if "stands still" in mail["subject"]]
    assert len(told) == 1
    assert "about its payment" in told[0]["text"]


@pytest.mark.usefixtures("gateway", "warehouse_partner", "mailbox")
@pytest.mark.parametrize("problem", ["payment_problem", "shipping_problem", "shortage"])
def test_what_waits_for_a_customer_or_a_person_is_no_stall(order: Order, problem: str) -> None:
    fact = {"payment_problem": "paid_at", "shipping_problem": "warehouse_notified_at", "shortage": "stocked_at"}[
        problem
    ]
    drain()
    Order.objects.filter(pk=order.pk).update(**{problem: "no", fact: None})
    JobRun.objects.all().delete()
    age(order)
    assert look() == 0


@pytest.mark.usefixtures("gateway", "warehouse_partner", "mailbox")
def test_two_that_look_at_once_ask_once(stalled: Order) -> None:
    assert look() == 1
    JobRun.objects.filter(name=process_order.name).delete()
    assert look() == 0


def test_staff_see_what_stood_still(client: Client, stalled: Order) -> None:
    look()
    client.force_login(User.objects.create_user("olga", is_staff=True))
    page = client.get(reverse("staff_stalls")).content.decode()
    assert stalled.number in page
    assert "asked for again" in page


def test_an_order_that_is_whole_has_nothing_missing() -> None:
    now = timezone.now()
    facts = {"processing_started_at": now, "paid_at": now, "stocked_at": now, "warehouse_notified_at": now}
    assert stalls.unfinished(Order(**facts)) == ["confirmation", "invoice"]
    assert stalls.unfinished(Order()) == ["processing"]

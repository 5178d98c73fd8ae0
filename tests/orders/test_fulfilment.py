"""`process_order` and `notify_warehouse`, called directly, against the warehouse of the demo."""

from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from orders import aftercare, charging, warehouse
from orders.checkout import Address
from orders.jobs import notify_warehouse, process_order
from orders.models import Order, Shipment
from orders.partners.warehouse import Warehouse
from tests.at_once import at_once, while_another_transaction
from tests.orders.making import ADDRESS, a_product, an_order, asked

pytestmark = pytest.mark.django_db

STEPS = ["charge_order", "update_inventory", "notify_warehouse", "send_order_confirmation"]
NOWHERE = Address(recipient="Grace", street="Nowhere 1", postcode="00000", city="Nowhere")


def test_processing_asks_for_each_step(order: Order) -> None:
    process_order(order.pk)
    order.refresh_from_db()
    assert order.processing_started_at is not None
    assert asked()[-4:] == STEPS


def test_processing_twice_starts_once(order: Order) -> None:
    process_order(order.pk)
    first = Order.objects.get().processing_started_at
    process_order(order.pk)
    assert Order.objects.get().processing_started_at == first
    assert asked().count("charge_order") == 1


def test_processing_a_missing_order_is_no_error() -> None:
    process_order(404)
    assert asked() == []


def test_the_warehouse_gets_the_address_and_the_packing_list(warehouse_partner: Warehouse, order: Order) -> None:
    notify_warehouse(order.pk)
    order.refresh_from_db()
    (shipment,) = warehouse_partner.ledger()
    assert order.warehouse_notified_at is not None
    assert order.shipment.warehouse_id == shipment["id"]
    assert shipment["lines"] == [{"sku": "T-claw-hammer", "quantity": 2}]
    assert shipment["address"]["city"] == "Berlin"


def test_the_warehouse_is_notified_once(warehouse_partner: Warehouse, order: Order) -> None:
    notify_warehouse(order.pk)
    notify_warehouse(order.pk)
    assert len(warehouse_partner.ledger()) == 1


def test_a_lost_answer_ships_once(warehouse_partner: Warehouse, order: Order) -> None:
    warehouse_partner.set_mode("timeout_after", seconds=0, times=1)
    with pytest.raises(warehouse.WarehouseUnavailable):
        notify_warehouse(order.pk)
    notify_warehouse(order.pk)
    assert len(warehouse_partner.ledger()) == 1


def test_notifying_about_a_missing_order_is_no_error(warehouse_partner: Warehouse) -> None:
    notify_warehouse(404)
    assert warehouse_partner.ledger() == []


@pytest.mark.usefixtures("warehouse_partner")
def test_a_refused_address_marks_the_order_and_alerts_operators() -> None:
    order = an_order(address=NOWHERE)
    with pytest.raises(warehouse.InvalidAddress):
        notify_warehouse(order.pk)
    order.refresh_from_db()
    assert "00000" in order.shipping_problem
    assert asked()[-1] == "alert_operators"


@pytest.mark.usefixtures("warehouse_partner")
def test_the_same_refusal_alerts_once() -> None:
    order = an_order(address=NOWHERE)
    for _ in range(2):
        with pytest.raises(warehouse.InvalidAddress):
            notify_warehouse(order.pk)
    assert asked().count("alert_operators") == 1


@pytest.mark.usefixtures("warehouse_partner")
def test_a_refusal_of_an_address_that_was_corrected_meanwhile_says_nothing_of_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = an_order(address=NOWHERE)
    with pytest.raises(warehouse.InvalidAddress):
        notify_warehouse(order.pk)
    ship = warehouse.ship

    def ship_while_the_customer_corrects(**request: Any) -> warehouse.Shipment:
        aftercare.correct_address(order, ADDRESS)
        return ship(**request)

    monkeypatch.setattr(warehouse, "ship", ship_while_the_customer_corrects)
    notify_warehouse(order.pk)
    order.refresh_from_db()
    assert (order.shipping_problem, order.postcode) == ("", ADDRESS.postcode)
    assert asked().count("alert_operators") == 1


@pytest.mark.usefixtures("warehouse_partner")
def test_a_refusal_that_comes_after_the_order_was_packed_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    ship = warehouse.ship

    def ship_twice(**request: Any) -> warehouse.Shipment:
        monkeypatch.setattr(warehouse, "ship", ship)
        notify_warehouse(order.pk)
        raise warehouse.InvalidAddress("No such street.")

    monkeypatch.setattr(warehouse, "ship", ship_twice)
    notify_warehouse(order.pk)
    order.refresh_from_db()
    assert (order.shipping_problem, order.warehouse_notified_at is None) == ("", False)


@pytest.mark.django_db(transaction=True)
def test_many_runs_at_once_have_one_parcel_packed(warehouse_partner: Warehouse) -> None:
    order = an_order()
    at_once(notify_warehouse, [order.pk] * 6)
    assert len(warehouse_partner.ledger()) == Shipment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_starts_at_once_ask_for_each_step_once() -> None:
    order = an_order()
    at_once(process_order, [order.pk] * 6)
    assert [asked().count(step) for step in STEPS] == [1, 1, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_many_hands_at_once_give_the_parcel_to_the_carrier_once() -> None:
    order = ready(an_order())
    assert sorted(at_once(aftercare.hand_to_carrier, [order] * 6)) == [False] * 5 + [True]
    assert asked().count("send_shipping_notification") == 1


@pytest.mark.django_db(transaction=True)
def test_shipping_waits_for_a_refund_that_is_under_way_and_then_does_not_ship() -> None:
    order = ready(an_order())
    payment = order.payments.get()
    charging.mark_paid(payment, "ch_1", lambda order_id: None)
    with while_another_transaction(lambda: charging.mark_refunded(payment)) as wait_for:
        assert wait_for(lambda: aftercare.hand_to_carrier(order)) is False
    order.refresh_from_db()
    assert (order.shipped_at, order.refunded_at is None) == (None, False)


@pytest.mark.django_db(transaction=True)
def test_two_orders_paid_back_and_shipped_at_once_lock_their_own_rows_only() -> None:
    """Where the database has one writer at a time, the second waits for the first, and ships all the same."""
    refunded, shipped = ready(an_order()), ready(an_order(a_product("toolbox")))
    payment = refunded.payments.get()
    charging.mark_paid(payment, "ch_1", lambda order_id: None)
    has_one_writer = connection.vendor == "sqlite"
    with while_another_transaction(lambda: charging.mark_refunded(payment)) as wait_for:
        ship = partial(aftercare.hand_to_carrier, shipped)
        assert (wait_for(ship) if has_one_writer else ship()) is True


def ready(order: Order) -> Order:
    """Paid, set aside and packed."""
    now = timezone.now()
    Order.objects.filter(pk=order.pk).update(paid_at=now, stocked_at=now, warehouse_notified_at=now)
    order.refresh_from_db()
    return order


def test_the_database_refuses_to_ship_what_is_not_ready(order: Order) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(shipped_at=timezone.now())

"""`process_order` and `notify_warehouse`, called directly, against the warehouse of the demo."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from orders import warehouse
from orders.checkout import Address
from orders.jobs import notify_warehouse, process_order
from orders.models import Order
from orders.partners.warehouse import Warehouse
from tests.orders.making import an_order, asked

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


def test_the_database_refuses_to_ship_what_is_not_ready(order: Order) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(shipped_at=timezone.now())

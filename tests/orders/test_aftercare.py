"""What people ask of an order afterwards."""

from dataclasses import replace

import pytest
from django.utils import timezone

from orders import aftercare, warehouse
from orders.jobs import charge_order, notify_warehouse, update_inventory
from orders.models import Order
from orders.order_runs import runs_of
from orders.partners.gateway import Gateway
from orders.partners.warehouse import Warehouse
from tests.orders.making import ADDRESS, a_product, an_order, asked

pytestmark = pytest.mark.django_db


def test_another_card_is_charged_by_a_run_of_its_own(gateway: Gateway) -> None:
    order = an_order(card="tok_declined")
    charge_order(order.pk)
    aftercare.pay_again(order, card="tok_visa")
    assert asked()[-1] == "charge_order"
    assert [run.short_name for run in runs_of(order)] == ["process_order", "send_payment_failed", "charge_order"]


@pytest.mark.usefixtures("warehouse_partner")
def test_a_corrected_address_is_sent_to_the_warehouse() -> None:
    order = an_order(address=replace(ADDRESS, postcode="00000"))
    with pytest.raises(warehouse.InvalidAddress):
        notify_warehouse(order.pk)
    assert aftercare.correct_address(order, ADDRESS)
    notify_warehouse(order.pk)
    order.refresh_from_db()
    assert order.warehouse_notified_at is not None
    assert order.shipping_problem == ""


def test_an_address_nobody_refused_stays(warehouse_partner: Warehouse, order: Order) -> None:
    assert not aftercare.correct_address(order, replace(ADDRESS, city="Elsewhere"))
    order.refresh_from_db()
    assert order.city == "Berlin"


def test_stock_is_asked_for_again_only_after_a_shortage(order: Order) -> None:
    assert not aftercare.take_stock_again(order)
    short = an_order(a_product("hard-hat", stock=0))
    update_inventory(short.pk)
    assert aftercare.take_stock_again(short)
    assert asked()[-1] == "update_inventory"


def test_a_parcel_leaves_when_all_is_ready_and_only_once(order: Order) -> None:
    assert not aftercare.hand_to_carrier(order)
    now = timezone.now()
    Order.objects.update(paid_at=now, stocked_at=now, warehouse_notified_at=now)
    assert [aftercare.hand_to_carrier(order), aftercare.hand_to_carrier(order)] == [True, False]
    assert asked().count("send_shipping_notification") == 1
    assert [run.short_name for run in runs_of(order)] == ["process_order", "send_shipping_notification"]

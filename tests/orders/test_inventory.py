"""`update_inventory`, called directly, and by many at once."""

import pytest
from django.db import IntegrityError, transaction

from orders import inventory
from orders.checkout import Item
from orders.jobs import update_inventory
from orders.models import Order, Product
from tests.at_once import at_once
from tests.orders.making import a_product, an_order

pytestmark = pytest.mark.django_db


def test_stock_is_taken_with_the_mark(order: Order, product: Product) -> None:
    update_inventory(order.pk)
    order.refresh_from_db()
    product.refresh_from_db()
    assert order.stocked_at is not None
    assert product.stock == 8


def test_stock_is_taken_once(order: Order, product: Product) -> None:
    update_inventory(order.pk)
    update_inventory(order.pk)
    product.refresh_from_db()
    assert product.stock == 8


def test_a_missing_order_is_no_error() -> None:
    update_inventory(404)


def test_a_shortage_takes_nothing_and_says_what_is_missing() -> None:
    plenty, scarce = a_product("toolbox", stock=5), a_product("hard-hat", stock=1)
    order = an_order(items=[Item(plenty, 1), Item(scarce, 2)])
    update_inventory(order.pk)
    order.refresh_from_db()
    plenty.refresh_from_db()
    assert (order.stocked_at, order.shortage) == (None, "Hard hat: 2 ordered, 1 left")
    assert plenty.stock == 5


def test_a_restocked_order_is_served_by_the_next_call() -> None:
    product = a_product(stock=1)
    order = an_order(product)
    update_inventory(order.pk)
    inventory.restock(product, 10)
    update_inventory(order.pk)
    order.refresh_from_db()
    product.refresh_from_db()
    assert order.stocked_at is not None
    assert (order.shortage, product.stock) == ("", 9)


@pytest.mark.usefixtures("product")
def test_the_database_refuses_stock_below_zero() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Product.objects.update(stock=-1)


@pytest.mark.django_db(transaction=True)
def test_many_orders_at_once_sell_what_is_there_and_no_more() -> None:
    hats, boxes = a_product("hard-hat", stock=7), a_product("toolbox", stock=100)
    # Half name the goods in one order, half in the other: locks taken as they come would meet head on.
    orders = [
        an_order(items=[Item(hats, 2), Item(boxes, 1)] if turn % 2 else [Item(boxes, 1), Item(hats, 2)])
        for turn in range(8)
    ]
    at_once(update_inventory, [order.pk for order in orders])
    hats.refresh_from_db()
    boxes.refresh_from_db()
    assert Order.objects.filter(stocked_at__isnull=False).count() == 3
    assert Order.objects.exclude(shortage="").count() == 5
    assert (hats.stock, boxes.stock) == (1, 97)


@pytest.mark.django_db(transaction=True)
def test_one_order_taken_by_many_at_once_is_taken_once() -> None:
    product = a_product(stock=10)
    order = an_order(product)
    at_once(update_inventory, [order.pk] * 6)
    product.refresh_from_db()
    assert product.stock == 8

"""From a basket to an order."""

import uuid

import pytest
from django.db import transaction

from jobs.models import JobRun
from orders import checkout
from orders.checkout import EmptyBasket, Item
from orders.models import Customer, Order, Product
from orders.order_runs import runs_of
from tests.at_once import at_once
from tests.orders.making import ADDRESS, a_product, an_order, asked

pytestmark = pytest.mark.django_db


def test_an_order_keeps_the_prices_of_the_day(product: Product) -> None:
    order = an_order(product)
    Product.objects.update(price_cents=1)
    order.refresh_from_db()
    assert (order.total_cents, order.lines.get().unit_price_cents) == (5780, 2890)


def test_an_order_asks_for_its_processing(product: Product) -> None:
    order = an_order(product)
    run = JobRun.objects.get(name="orders.process_order")
    assert run.arguments == {"order_id": order.pk}
    assert [found.id for found in runs_of(order)] == [run.pk]


def test_a_rolled_back_order_leaves_nothing_behind(product: Product) -> None:
    with transaction.atomic():
        an_order(product)
        transaction.set_rollback(True)
    assert not Order.objects.exists()
    assert not JobRun.objects.exists()


def test_a_new_customer_is_welcomed_and_a_known_one_is_not(product: Product) -> None:
    an_order(product, email="Grace@Example.com")
    an_order(product, email="grace@example.com")
    assert Customer.objects.get().email == "grace@example.com"
    assert asked() == ["send_welcome_email", "process_order", "process_order"]


def test_a_form_sent_twice_orders_once(product: Product) -> None:
    key = uuid.uuid4()
    assert an_order(product, key=key) == an_order(product, key=key)
    assert Order.objects.count() == 1
    assert asked().count("process_order") == 1


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_twice_at_the_same_moment_orders_once() -> None:
    product, key = a_product(), uuid.uuid4()

    made = at_once(lambda _: an_order(product, key=key).pk, range(8))
    assert set(made) == {Order.objects.get().pk}


def test_an_empty_basket_is_refused() -> None:
    with pytest.raises(EmptyBasket, match="add something"):
        checkout.place_order(key=uuid.uuid4(), items=[], email="a@example.com", address=ADDRESS, card="tok_visa")


def test_numbers_cannot_be_guessed(product: Product) -> None:
    first, second = an_order(product), an_order(items=[Item(product, 1)])
    assert first.number != second.number
    assert len(first.number) == 9

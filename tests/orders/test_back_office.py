"""The shop's part of the admin, and the seed."""

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from orders.models import Customer, Order, Product
from orders.order_runs import runs_of
from orders.seed import seed
from tests.orders.making import an_order

pytestmark = pytest.mark.django_db


def test_an_order_links_to_its_runs(admin_client: Client, order: Order) -> None:
    page = admin_client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
    (run,) = runs_of(order)
    assert reverse("admin:jobs_jobrun_change", args=[run.id]) in page


def test_an_order_cannot_be_edited_by_hand(admin_client: Client, order: Order) -> None:
    admin_client.post(reverse("admin:orders_order_change", args=[order.pk]), {"city": "Elsewhere"})
    order.refresh_from_db()
    assert order.city == "Berlin"


def test_an_order_without_an_invoice_offers_no_fields_for_one(admin_client: Client, order: Order) -> None:
    page = admin_client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
    assert 'name="invoice-0-numbered_at' not in page


@pytest.mark.parametrize("problem", ["payment_problem", "shipping_problem", "shortage"])
def test_orders_are_found_by_their_problem(admin_client: Client, product: Product, problem: str) -> None:
    an_order(product)
    Order.objects.filter(pk=an_order(product).pk).update(**{problem: "bad"})
    page = admin_client.get(reverse("admin:orders_order_changelist"), {"problem": problem})
    assert page.context["cl"].result_count == 1


def test_the_list_of_orders_asks_the_database_the_same_for_many(
    admin_client: Client, product: Product, django_assert_max_num_queries
) -> None:
    for _ in range(12):
        an_order(product)
    with django_assert_max_num_queries(12):
        admin_client.get(reverse("admin:orders_order_changelist"))


def test_shipping_says_what_it_left_alone(admin_client: Client, order: Order) -> None:
    chosen = {"action": "hand_to_carrier", "_selected_action": [order.pk]}
    page = admin_client.post(reverse("admin:orders_order_changelist"), chosen, follow=True)
    assert b"1 left alone: not ready, or gone already" in page.content


def test_restocking_adds_to_what_is_there(admin_client: Client, product: Product) -> None:
    chosen = {"action": "restock", "_selected_action": [product.pk]}
    admin_client.post(reverse("admin:orders_product_changelist"), chosen)
    product.refresh_from_db()
    assert product.stock == 20


def test_a_clerk_without_permissions_sees_no_orders(client: Client) -> None:
    client.force_login(User.objects.create_user("new", is_staff=True))
    assert client.get(reverse("admin:orders_order_changelist")).status_code == 403


def test_seeding_again_changes_no_stock() -> None:
    seed()
    Product.objects.update(stock=1)
    call_command("seed")
    assert set(Product.objects.values_list("stock", flat=True)) == {1}
    assert (Product.objects.count(), Customer.objects.count()) == (12, 3)


def test_every_product_has_its_picture() -> None:
    seed()
    assert all(finders.find(picture) for picture in Product.objects.values_list("picture", flat=True))

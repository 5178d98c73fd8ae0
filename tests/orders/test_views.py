"""The shop's pages, with Django's client."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders.jobs import charge_order
from orders.models import Order, Product
from orders.partners.gateway import Gateway
from tests.orders.making import a_product, an_order, asked

pytestmark = pytest.mark.django_db

TYPED = {
    "email": "grace@example.com",
    "recipient": "Grace Mason",
    "street": "Baustrasse 7",
    "postcode": "10115",
    "city": "Berlin",
    "country": "DE",
    "card": "tok_visa",
}


def filled_form(client: Client, product: Product, quantity: int = 2) -> dict[str, str]:
    """Put it in the basket and return what the checkout page would send."""
    client.post(reverse("basket_add", args=[product.slug]), {"quantity": quantity})
    page = client.get(reverse("checkout")).content.decode()
    hidden = re.findall(r'<input type="hidden" name="(key|seen_total)" value="([^"]+)"', page)
    return TYPED | dict(hidden)


def test_the_shelf_shows_what_is_scarce_and_what_is_gone(client: Client) -> None:
    a_product("hard-hat", stock=3)
    a_product("flask", stock=0)
    page = client.get(reverse("product_list")).content.decode()
    assert "3 left" in page
    assert "Sold out" in page


def test_the_basket_adds_changes_and_removes(client: Client, product: Product) -> None:
    client.post(reverse("basket_add", args=[product.slug]), {"quantity": 2})
    client.post(reverse("basket_add", args=[product.slug]), {"quantity": 1})
    assert client.get(reverse("basket")).context["total"] == 3 * 2890
    client.post(reverse("basket_change", args=[product.slug]), {"quantity": 1})
    assert client.get(reverse("basket")).context["total"] == 2890
    client.post(reverse("basket_change", args=[product.slug]), {"quantity": 0})
    assert client.get(reverse("basket")).context["items"] == []


@pytest.mark.parametrize("quantity", ["-1", "1000", "two", ""])
def test_a_senseless_quantity_changes_nothing(client: Client, product: Product, quantity: str) -> None:
    client.post(reverse("basket_add", args=[product.slug]), {"quantity": quantity})
    assert client.get(reverse("basket")).context["items"] == []


def test_a_checkout_ends_on_the_orders_page(client: Client, product: Product) -> None:
    answer = client.post(reverse("checkout"), filled_form(client, product))
    order = Order.objects.get()
    assert answer["Location"] == reverse("order", args=[order.number])
    assert order.total_cents == 5780
    assert client.get(reverse("basket")).context["items"] == []


def test_a_double_click_on_checkout_ends_on_the_same_order(client: Client, product: Product) -> None:
    form = filled_form(client, product)
    first, second = client.post(reverse("checkout"), form), client.post(reverse("checkout"), form)
    assert first["Location"] == second["Location"]
    assert Order.objects.count() == 1


def test_a_price_that_changed_meanwhile_is_shown_before_it_is_charged(client: Client, product: Product) -> None:
    form = filled_form(client, product)
    Product.objects.update(price_cents=9900)
    page = client.post(reverse("checkout"), form)
    assert not Order.objects.exists()
    assert b"check the total again" in page.content
    assert b'name="seen_total" value="19800"' in page.content


def test_a_form_with_holes_comes_back_marked(client: Client, product: Product) -> None:
    page = client.post(reverse("checkout"), filled_form(client, product) | {"street": ""})
    assert not Order.objects.exists()
    assert b'aria-invalid="true"' in page.content


def test_a_name_is_one_line_whatever_was_sent(client: Client, product: Product) -> None:
    client.post(reverse("checkout"), filled_form(client, product) | {"recipient": "Grace\r\nBcc: all@example.com"})
    assert Order.objects.get().recipient == "Grace Bcc: all@example.com"


def test_the_orders_page_shows_its_steps_and_its_jobs(client: Client, order: Order) -> None:
    page = client.get(reverse("order", args=[order.number]))
    assert b"We are working on your order" in page.content
    assert b"process_<wbr>order" in page.content
    assert b'http-equiv="refresh"' in page.content


def test_an_unchanged_order_answers_304(client: Client, order: Order) -> None:
    address = reverse("order_progress", args=[order.number])
    first = client.get(address)
    assert client.get(address, headers={"if-none-match": first["ETag"]}).status_code == 304
    Order.objects.update(paid_at=timezone.now())
    assert client.get(address, headers={"if-none-match": first["ETag"]}).status_code == 200


def test_an_unknown_order_is_not_found(client: Client) -> None:
    assert client.get(reverse("order", args=["ABCD-EFGH"])).status_code == 404


def test_a_broken_page_says_so_without_the_database_or_a_session(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Product.objects, "all", break_down)
    client.raise_request_exception = False
    page = client.get(reverse("product_list"))
    assert page.status_code == 500
    assert b"Out of order" in page.content


@pytest.mark.usefixtures("gateway")
def test_another_card_can_be_tried_on_the_orders_page(client: Client) -> None:
    order = an_order(card="tok_declined")
    charge_order(order.pk)
    address = reverse("order_pay", args=[order.number])
    assert address in client.get(reverse("order", args=[order.number])).content.decode()
    client.post(address, {"card": "tok_visa"})
    client.post(address, {"card": "tok_visa"})
    assert order.payments.count() == 2
    assert asked().count("charge_order") == 1


def test_a_page_that_only_shows_changes_nothing(client: Client, order: Order, django_assert_max_num_queries) -> None:
    for name in ("order", "order_progress", "order_pay", "order_address"):
        with django_assert_max_num_queries(9) as seen:
            client.get(reverse(name, args=[order.number]))
        assert not [query for query in seen.captured_queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_only_staff_with_the_permission_ship(client: Client, order: Order, gateway: Gateway) -> None:
    now = timezone.now()
    Order.objects.update(paid_at=now, stocked_at=now, warehouse_notified_at=now)
    address = reverse("order_ship", args=[order.number])
    assert client.post(address).status_code == 403
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="ship_order"))
    client.force_login(clerk)
    assert client.get(address).status_code == 200
    client.post(address)
    assert Order.objects.get().shipped_at is not None


def test_no_page_needs_inline_code_or_styles(client: Client, order: Order, product: Product) -> None:
    client.post(reverse("basket_add", args=[product.slug]), {"quantity": 1})
    pages = [reverse(name) for name in ("product_list", "basket", "checkout")]
    pages += [reverse("product", args=[product.slug]), order.get_absolute_url()]
    pages += [reverse(name, args=[order.number]) for name in ("order_pay", "order_address", "order_progress")]
    for address in pages:
        page = client.get(address).content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?! src=)", page), address

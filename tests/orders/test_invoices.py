"""Invoices: numbered without gaps, drawn once, fetched by the customer and the staff only."""

import re
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from jobs.testing import drain
from orders import invoice_pdf, invoices
from orders.checkout import Address, Item
from orders.invoice_facts import Facts, Line, vat_cents
from orders.jobs import charge_order, make_invoice
from orders.models import Invoice, Order, Product
from orders.partners.mailbox import Mailbox
from tests.at_once import at_once
from tests.orders.making import a_product, an_order, asked
from tests.orders.test_views import filled_form

pytestmark = pytest.mark.django_db

YEAR = timezone.now().year


@pytest.fixture(autouse=True)
def _shelf(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


def paid(order: Order) -> Order:
    Order.objects.filter(pk=order.pk).update(paid_at=timezone.now())
    order.refresh_from_db()
    return order


def text_of(pdf: bytes) -> str:
    """What a reader program finds on all pages, in one line."""
    pages = PdfReader(BytesIO(pdf)).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


def body_of(answer: Any) -> bytes:
    body = b"".join(answer)
    answer.close()
    return body


def some_facts(**changes: Any) -> Facts:
    facts = {
        "number": "JS-2026-00001",
        "dated": date(2026, 3, 1),
        "order_number": "ABCD-EFGH",
        "address": ("Jürgen Groß", "Łódzka 7", "10115 Berlin", "Germany"),
        "lines": [Line("JS-101", "Claw hammer", 2, 2890)],
        "paid_on": date(2026, 3, 2),
    }
    return Facts(**(facts | changes))


# The paper


def test_an_invoice_reads_back_with_umlauts_and_the_euro_sign() -> None:
    text = text_of(invoice_pdf.draw(some_facts()))
    for words in (
        "Invoice JS-2026-00001",
        "Jürgen Groß",
        "Łódzka 7",
        "1 March 2026",
        "Order ABCD-EFGH",
        "JS-101 Claw hammer 2 28.90 € 57.80 €",
        "Net 48.57 €",
        "VAT 19 % 9.23 €",
        "Total 57.80 €",
        "Paid by card on 2 March 2026",
    ):
        assert words in text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_fonts_are_in_the_file() -> None:
    (page,) = PdfReader(BytesIO(invoice_pdf.draw(some_facts()))).pages
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
    used = [font for font in fonts if "DejaVu" in font["/BaseFont"]]
    assert len(used) == 2
    assert all("/FontFile2" in font["/FontDescriptor"] for font in used)


def test_the_same_facts_give_the_same_bytes() -> None:
    assert invoice_pdf.draw(some_facts()) == invoice_pdf.draw(some_facts())


def test_what_a_customer_types_is_text_and_no_markup() -> None:
    assert "<b>Bobby</b> & Söhne" in text_of(invoice_pdf.draw(some_facts(address=("<b>Bobby</b> & Söhne",))))


def test_a_long_order_goes_on_on_another_page() -> None:
    pdf = invoice_pdf.draw(some_facts(lines=[Line(f"S-{turn}", "Hammer " * 12, 1, 100) for turn in range(60)]))
    assert len(PdfReader(BytesIO(pdf)).pages) > 1
    assert "S-59" in text_of(pdf)


@pytest.mark.parametrize("total", [1, 119, 5780, 99999])
def test_net_and_tax_make_the_total(total: int) -> None:
    tax = vat_cents(total)
    assert abs((total - tax) * 19 - tax * 100) <= 119 / 2


# The number and the file


def test_a_paid_order_gets_an_invoice_once(order: Order) -> None:
    make_invoice(paid(order).pk)
    invoice = Invoice.objects.get()
    before = default_storage.get_modified_time(invoice.file.name)
    make_invoice(order.pk)
    assert (invoice.number, invoice.file.name) == (f"JS-{YEAR}-00001", f"invoices/JS-{YEAR}-00001.pdf")
    assert default_storage.get_modified_time(invoice.file.name) == before
    with invoice.file.open() as file:
        assert f"Order {order.number}" in text_of(file.read())


def test_an_order_that_is_not_paid_or_not_there_gets_none(order: Order) -> None:
    make_invoice(order.pk)
    make_invoice(404)
    assert not Invoice.objects.exists()


@pytest.mark.usefixtures("gateway")
def test_the_invoice_is_asked_for_when_the_order_is_paid(order: Order) -> None:
    charge_order(order.pk)
    charge_order(order.pk)
    assert asked().count("make_invoice") == 1


def test_an_attempt_that_died_after_writing_leaves_one_file(order: Order) -> None:
    make_invoice(paid(order).pk)
    Invoice.objects.update(file="")
    make_invoice(order.pk)
    assert default_storage.listdir("invoices")[1] == [f"JS-{YEAR}-00001.pdf"]


def test_a_number_that_was_rolled_back_is_given_again(product: Product) -> None:
    first, second = paid(an_order(product)), paid(an_order(product))
    with transaction.atomic():
        invoices.number(first)
        transaction.set_rollback(True)
    assert invoices.number(second).position == 1
    assert invoices.number(first).position == 2


@pytest.mark.django_db(transaction=True)
def test_many_at_once_leave_no_gap_and_no_double() -> None:
    product = a_product()
    orders = [paid(an_order(product)).pk for _ in range(6)]
    at_once(make_invoice, orders * 2)
    assert sorted(Invoice.objects.values_list("position", flat=True)) == [1, 2, 3, 4, 5, 6]
    assert sorted(default_storage.listdir("invoices")[1]) == [f"JS-{YEAR}-0000{turn}.pdf" for turn in range(1, 7)]


def test_one_invoice_is_drawn_once_by_many_at_once(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> None:
    order = paid(an_order(a_product()))
    drawn = []
    monkeypatch.setattr(invoice_pdf, "draw", lambda facts: drawn.append(facts) or b"%PDF")
    at_once(make_invoice, [order.pk] * 6)
    assert len(drawn) == 1


# Who may fetch it


@pytest.fixture
def invoiced(client: Client, product: Product) -> Order:
    """An order that this client placed, with its invoice."""
    client.post(reverse("checkout"), filled_form(client, product))
    order = paid(Order.objects.get())
    make_invoice(order.pk)
    return order


def address_of(order: Order) -> str:
    return reverse("order_invoice", args=[order.number])


def test_who_placed_the_order_fetches_its_invoice(client: Client, invoiced: Order) -> None:
    assert address_of(invoiced) in client.get(invoiced.get_absolute_url()).content.decode()
    answer = client.get(address_of(invoiced))
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == f'attachment; filename="JS-{YEAR}-00001.pdf"'
    assert "private" in answer["Cache-Control"]
    assert "Grace Mason" in text_of(body_of(answer))


def test_nobody_else_fetches_it_or_is_offered_it(invoiced: Order) -> None:
    stranger = Client()
    assert stranger.get(address_of(invoiced)).status_code == 403
    assert b"invoice" not in stranger.get(invoiced.get_absolute_url()).content.replace(b"make_<wbr>invoice", b"")
    forged = reverse("order_invoice_by_letter", args=[invoiced.number, "forged"])
    assert stranger.get(forged).status_code == 403


def test_the_link_of_another_order_does_not_open_it(invoiced: Order) -> None:
    other = an_order(Product.objects.get(), items=[Item(Product.objects.get(), 1)])
    address = reverse("order_invoice_by_letter", args=[invoiced.number, invoices.token(other)])
    assert Client().get(address).status_code == 403


def test_staff_with_the_permission_fetch_it(invoiced: Order) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    client = Client()
    client.force_login(clerk)
    assert client.get(address_of(invoiced)).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_invoice"))
    answer = client.get(address_of(invoiced))
    assert answer.status_code == 200
    answer.close()


@pytest.mark.usefixtures("gateway", "warehouse_partner")
def test_the_confirmation_links_to_it(mailbox: Mailbox) -> None:
    order = an_order(a_product(), address=Address("Jürgen Groß", "Straße 1", "10115", "Köln"))
    drain()
    (letter,) = [mail for mail in mailbox.messages() if order.number in mail["subject"]]
    found = re.search(r"http://[^/]+(/orders/\S+/invoice/\S+)", letter["text"])
    assert found
    assert "Jürgen Groß" in text_of(body_of(Client().get(found[1])))


def test_before_the_order_is_paid_the_page_says_when_it_comes(client: Client, order: Order) -> None:
    address = reverse("order_invoice_by_letter", args=[order.number, invoices.token(order)])
    page = client.get(address, follow=True)
    assert "comes as soon as the order is paid" in page.content.decode()

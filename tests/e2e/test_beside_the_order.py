"""What goes on beside an order: the newsletter, the gateway's events, the invoice."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from pypdf import PdfReader

from tests.e2e.people import Customer, Staff
from tests.e2e.windows import Windows

pytestmark = pytest.mark.e2e

EVENTS = "/admin/orders/paymentevent/"


def sign_up(customer: Customer, email: str) -> None:
    customer.open("/")
    customer.follow("Newsletter")
    customer.page.get_by_label("E-mail").fill(email)
    customer.press("Put me on the list")


def standing(customer: Customer) -> Locator:
    return customer.page.get_by_role("region", name="How it stands")


def test_a_reader_gets_on_the_list_and_leaves_by_the_letter(customer: Customer, operator: Staff) -> None:
    sign_up(customer, "Rita.Reader@Example.org")
    expect(standing(customer)).to_contain_text("You are on the list.")
    expect(standing(customer)).to_contain_text("rita.reader@example.org")

    operator.open("/staff/partners/")
    expect(operator.page.locator("#lists").get_by_text("rita.reader@example.org")).to_be_visible()
    operator.open("/staff/mailbox/")
    entry = operator.page.locator(".entries li", has_text="rita.reader@example.org").first
    operator.follow("You are on our list", within=entry)
    operator.follow(re.compile("newsletter.leave"))
    operator.press("Take me off the list")
    expect(operator.page.get_by_text("You are off the list.")).to_be_visible()


def test_a_refused_address_is_told_to_the_reader_and_kept_for_the_staff(customer: Customer, operator: Staff) -> None:
    sign_up(customer, "paul@example.invalid")
    expect(standing(customer)).to_contain_text("No mail server takes mail for example.invalid.")

    operator.open("/admin/orders/customer/?newsletter__exact=invalid&q=paul")
    expect(operator.page.locator("#result_list")).to_contain_text("No mail server takes mail")


def test_a_new_demo_shows_an_event_that_came_twice_and_counted_once(operator: Staff) -> None:
    operator.open(EVENTS)
    row = operator.page.locator("#result_list tbody tr", has_text="payment.succeeded").last
    expect(row.locator(".field-arrivals")).to_have_text("2")
    expect(row.locator(".field-state")).to_have_text("applied")


def test_events_in_the_wrong_order_leave_the_order_paid(customer: Customer, operator: Staff) -> None:
    operator.tell_gateway("webhook_disorder", times=1)
    number = customer.buy()
    expect(customer.step("Payment")).to_have_class("done")

    row = operator.page.locator("#result_list tbody tr", has_text="payment.created")
    for _ in range(20):
        operator.open(f"{EVENTS}?q={number}")
        if row.count():
            break
        operator.page.wait_for_timeout(250)
    operator.open(f"{EVENTS}?q={number}")
    expect(operator.page.locator("#result_list tbody tr")).to_have_count(2)


def test_the_customer_fetches_the_invoice_and_a_stranger_does_not(
    customer: Customer, windows: Windows, tmp_path: Path
) -> None:
    number = customer.buy()
    link = customer.page.get_by_role("link", name=re.compile("^Invoice JS-"))
    expect(link).to_be_visible()
    with customer.page.expect_download() as download:
        link.click()
    download.value.save_as(tmp_path / "invoice.pdf")
    (page,) = PdfReader(BytesIO((tmp_path / "invoice.pdf").read_bytes())).pages
    assert number in page.extract_text()

    stranger = windows.open(Customer)
    stranger.complaints.expected.add(403)
    stranger.open(f"/orders/{number}/")
    expect(stranger.page.get_by_role("link", name=re.compile("^Invoice"))).to_have_count(0)
    stranger.open(f"/orders/{number}/invoice/")
    expect(stranger.page.get_by_role("heading", level=1)).to_be_visible()

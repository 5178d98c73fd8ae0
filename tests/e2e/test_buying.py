"""A customer buys, with and without script."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.people import HAMMER, Customer, Staff
from tests.e2e.windows import Windows

pytestmark = pytest.mark.e2e

DONE_WITHIN_SECONDS = 5
# Without script the page reloads itself every 3 s.
DONE_WITHOUT_SCRIPT_WITHIN_SECONDS = 10


def test_an_order_is_done_in_seconds_on_a_page_that_does_not_reload(customer: Customer) -> None:
    customer.buy()
    customer.page.evaluate("window.sameDocument = true")

    customer.expect_all_done(seconds=DONE_WITHIN_SECONDS)
    expect(customer.page.get_by_role("heading", level=1)).to_have_text("Everything is ready for the carrier")
    assert customer.page.evaluate("window.sameDocument") is True


def test_an_order_is_done_without_script_on_a_page_that_reloads_itself(windows: Windows) -> None:
    customer = windows.open(Customer, java_script_enabled=False)
    customer.buy()

    customer.expect_all_done(seconds=DONE_WITHOUT_SCRIPT_WITHIN_SECONDS)


def test_a_screen_reader_is_told_when_the_order_is_done(customer: Customer) -> None:
    customer.buy()

    expect(customer.page.get_by_role("status")).to_have_text("Everything is ready for the carrier")


def test_the_customer_gets_exactly_one_confirmation(customer: Customer, operator: Staff) -> None:
    number = customer.buy()
    customer.expect_all_done(seconds=DONE_WITHIN_SECONDS)

    operator.open("/staff/mailbox/")
    expect(operator.page.get_by_role("link", name=f"Your order {number}", exact=True)).to_have_count(1)

    operator.follow(f"Your order {number}")
    expect(operator.page.locator(".words")).to_contain_text(HAMMER)
    letter = operator.page.frame_locator("iframe")
    expect(letter.get_by_text(HAMMER)).to_be_visible()


def test_a_double_click_places_one_order(customer: Customer, operator: Staff) -> None:
    customer.fill_basket()
    customer.follow("Check out")
    customer.fill_in_checkout(email="twice@example.org")
    customer.page.get_by_role("button", name="Place the order").dblclick()
    customer.page.wait_for_url("**/orders/*/")
    customer.expect_all_done(seconds=DONE_WITHIN_SECONDS)

    operator.open("/admin/orders/order/?q=twice@example.org")
    expect(operator.page.locator("#result_list tbody tr")).to_have_count(1)


def test_a_declined_card_is_never_tried_again_until_the_customer_names_another(customer: Customer) -> None:
    customer.buy(card="which the bank declines")
    payment = customer.step("Payment")

    expect(payment).to_have_class("problem")
    customer.follow("Try another card")
    customer.page.get_by_label("which is accepted").check()
    customer.press(re.compile("^Pay "))

    expect(customer.step("Payment")).to_have_class("done")

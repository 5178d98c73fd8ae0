"""The README's story: a broken gateway, a payment that waits, and nothing charged twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.people import Customer, Staff
from tests.e2e.product import Product
from tests.e2e.windows import Windows

pytestmark = pytest.mark.e2e

BROKEN = "error"
ANSWERS_ARE_LOST = "timeout_after"
# The charge has failed two or three times by then, so its next attempt is due within 16 s and some jitter.
RETRIED_WITHIN_SECONDS = 30


@pytest.fixture(autouse=True)
def heals_the_gateway(operator: Staff) -> Iterator[None]:
    """The gateway works again for the tests that come after."""
    yield
    operator.heal_gateway()


def test_an_operator_logs_in_with_the_password_that_the_demo_made(product: Product, windows: Windows) -> None:
    operator = windows.open(Staff)
    operator.log_in(product.password("operator"))

    expect(operator.page.get_by_role("heading", level=1)).to_have_text("Site administration")


def test_while_the_gateway_is_broken_only_the_payment_waits(customer: Customer, operator: Staff) -> None:
    operator.tell_gateway(BROKEN)
    customer.buy()

    expect(customer.step("Payment")).to_contain_text("it will be tried again by itself")
    for step in ("Stock", "Confirmation", "Warehouse"):
        expect(customer.step(step)).to_have_class("done")


def test_a_retrying_run_shows_its_attempts_error_and_traceback(customer: Customer, operator: Staff) -> None:
    operator.tell_gateway(BROKEN)
    number = customer.buy()
    expect(customer.step("Payment")).to_contain_text("attempt 2 of 10")

    run = operator.run_of(number, "charge_order")
    operator.open("/admin/jobs/jobrun/?state=retrying")
    page = operator.page
    page.locator(f'a[href="{run}"]').click()
    page.wait_for_url(f"**{run}")

    expect(page.get_by_role("heading", level=1)).to_contain_text("retrying")
    expect(page.get_by_text(re.compile("^Attempt 1 of 10"))).to_be_visible()
    expect(page.get_by_text(re.compile("^Attempt 2 of 10"))).to_be_visible()
    expect(page.locator(".jobs-verdict")).to_contain_text("orders.payments.GatewayUnavailable")
    expect(page.locator("#jobs-latest-attempt pre")).to_contain_text("Traceback (most recent call last)")
    expect(page.get_by_text("Next attempt", exact=True)).to_be_visible()


def test_once_the_gateway_is_healed_the_charge_is_made_once(customer: Customer, operator: Staff) -> None:
    operator.tell_gateway(BROKEN)
    number = customer.buy()
    expect(customer.step("Payment")).to_contain_text("attempt 2 of 10")
    operator.heal_gateway()

    customer.expect_all_done(seconds=RETRIED_WITHIN_SECONDS)
    operator.open("/staff/partners/")
    expect(operator.charges(number)).to_have_count(1)


def test_a_charge_whose_answer_was_lost_is_not_made_again(customer: Customer, operator: Staff) -> None:
    operator.tell_gateway(ANSWERS_ARE_LOST, seconds=0)
    number = customer.buy()
    # The gateway's event tells of the charge, or the next attempt does.
    customer.expect_all_done(seconds=RETRIED_WITHIN_SECONDS)
    operator.heal_gateway()
    operator.open("/staff/partners/")
    expect(operator.charges(number)).to_have_count(1)

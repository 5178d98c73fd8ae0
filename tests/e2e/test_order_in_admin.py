"""The order's page in the admin shows what its jobs came to, and a dead one is retried from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.dead import dead_run
from tests.e2e.people import Customer, Staff

pytestmark = pytest.mark.e2e


def test_a_dead_job_of_an_order_is_retried_on_the_orders_page(
    customer: Customer, operator: Staff, screenshots: Path
) -> None:
    number, _run = dead_run(customer, operator)
    operator.open(f"/admin/orders/order/?q={number}")
    operator.follow(number)
    address = operator.page.url
    line = operator.page.locator("#jobs_runs-group tbody tr", has_text="notify warehouse")
    expect(line).to_contain_text("failed, and given up")
    operator.page.screenshot(path=screenshots / "order-in-admin-dead.png", full_page=True)
    operator.press("Retry", within=line)
    operator.expect_message("Retried: the run is back in its queue.")
    expect(operator.page).to_have_url(address)

"""Staff export orders, and an operator watches the batch that does it, its members and what it has told."""

from __future__ import annotations

from pathlib import Path
from re import compile as pattern

import pytest
from playwright.sync_api import expect

from tests.demo.watching import wait_until
from tests.e2e.people import Customer, Staff

pytestmark = pytest.mark.e2e

BATCHES = "/admin/jobs/batch/"


def test_an_operator_watches_an_export_as_a_batch(
    customer: Customer, operator: Staff, viewer: Staff, screenshots: Path
) -> None:
    customer.buy()
    operator.open("/staff/exports/")
    operator.press("Export")
    batch = _batch_once(operator, "succeeded")
    page = operator.page
    page.screenshot(path=screenshots / "batch.png", full_page=True)
    expect(page.get_by_role("progressbar")).to_have_count(1)
    expect(page.locator(".jobs-plain")).to_contain_text("when all have succeeded")
    expect(page.locator(".jobs-plain")).to_contain_text("orders.build_export")

    operator.follow(pattern("all members"))
    expect(page.locator("main tbody tr")).not_to_have_count(0)
    page.locator("tbody th a").first.click()
    page.wait_for_url("**/jobrun/*/")
    operator.look_over()
    operator.follow(pattern("^batch [0-9]+, Export"))
    assert page.url.endswith(batch)

    viewer.open(BATCHES)
    viewer.page.screenshot(path=screenshots / "batches.png", full_page=True)
    expect(viewer.page.get_by_role("link", name=pattern("^Export"))).not_to_have_count(0)
    viewer.open(batch)
    expect(viewer.page.locator("main").get_by_role("button")).to_have_count(0)
    expect(viewer.page.get_by_text(pattern("Cancel the rest|Retry failed"))).to_have_count(0)


def _batch_once(operator: Staff, state: str) -> str:
    """The path of the latest export's batch, once it is in a state; its page is open then."""

    def is_so() -> bool:
        operator.open(f"{BATCHES}?name=Export")
        rows = operator.page.locator("tbody tr")
        return rows.count() > 0 and state in rows.first.inner_text()

    wait_until(is_so, seconds=60, what=f"the export's batch to be {state}")
    operator.follow(pattern("^Export"), within=operator.page.locator("tbody"))
    return operator.page.url.partition("/admin/")[2].join(["/admin/", ""])

"""An operator holds one job, sees what it holds, and lets it go."""

from __future__ import annotations

from pathlib import Path
from re import compile as pattern

import pytest
from playwright.sync_api import expect

from tests.demo.watching import wait_until
from tests.e2e.people import Customer, Staff

pytestmark = pytest.mark.e2e

FUSES = "/admin/jobs/fuse/"
JOB = "orders.charge_order"


def test_an_operator_holds_a_job_and_lets_it_go(
    customer: Customer, operator: Staff, viewer: Staff, screenshots: Path
) -> None:
    customer.buy()
    customer.expect_all_done(seconds=30)

    operator.open(f"/admin/jobs/jobrun/?job={JOB}")
    operator.follow("Hold this job…")
    operator.page.get_by_label("For").fill("30m")
    operator.press("Preview")
    expect(operator.page.get_by_role("heading", name=pattern("waiting run.* would be caught"))).to_be_visible()
    operator.page.screenshot(path=screenshots / "fuse-add.png", full_page=True)
    operator.page.get_by_label("Reason").fill("the gateway charges twice")
    operator.press("Add the fuse")
    expect(operator.page.get_by_text("holds")).to_be_visible()

    number = customer.buy()
    run = operator.run_of(number, "charge_order")

    def is_caught() -> bool:
        operator.open(run)
        return operator.page.get_by_text(pattern("keeps it from starting")).count() > 0

    wait_until(is_caught, seconds=20, what="the payment to be caught")
    operator.page.screenshot(path=screenshots / "fuse-run.png", full_page=True)
    operator.open(f"/admin/jobs/jobrun/?job={JOB}")
    expect(operator.page.get_by_text(pattern("caught by fuse"))).to_be_visible()
    operator.page.screenshot(path=screenshots / "fuse-runs.png", full_page=True)
    viewer.open(FUSES)
    expect(viewer.page.get_by_text("the gateway charges twice")).to_be_visible()
    expect(viewer.page.get_by_text("Lift")).to_have_count(0)
    operator.open(FUSES)
    operator.page.screenshot(path=screenshots / "fuses.png", full_page=True)
    operator.follow("Lift…")
    operator.page.screenshot(path=screenshots / "fuse-lift.png", full_page=True)
    operator.press("Lift the fuse")

    customer.open(f"/orders/{number}/")
    customer.expect_all_done(seconds=30)
    operator.open(FUSES)
    expect(operator.page.get_by_text("the gateway charges twice")).to_be_visible()

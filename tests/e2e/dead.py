"""Makes dead jobs as a customer would, and finds them on the operators' pages."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.e2e.people import Customer, Staff

DEAD_JOBS = "/admin/jobs/deadjob/"
AUDIT = "/admin/jobs/auditentry/"
BAD_POSTCODE = "00000"


def dead_run(customer: Customer, operator: Staff, *, postcode: str = BAD_POSTCODE) -> tuple[str, str]:
    """Order to a place the warehouse refuses. Returns the order's number and the path of the dead run's page."""
    number = customer.buy(postcode=postcode)
    expect(customer.step("Warehouse")).to_have_class("problem")
    run = operator.run_of(number, "notify_warehouse")
    operator.open_run_once(run, "dead")
    return number, run


def row_of(operator: Staff, run: str) -> Locator:
    """The row of the dead jobs' list that links to the run."""
    return operator.page.locator("tbody tr", has=operator.page.locator(f'a[href="{run}"]'))


def audit_of(operator: Staff, run: str) -> Locator:
    """The rows of the audit about the run."""
    operator.open(f"{AUDIT}?target={run.rstrip('/').rpartition('/')[2]}")
    return operator.page.locator("tbody tr")

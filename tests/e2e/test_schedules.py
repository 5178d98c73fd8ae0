"""An operator makes a schedule, runs, pauses, edits and removes it. Without any script, and by the keyboard."""

from __future__ import annotations

from pathlib import Path
from re import compile as pattern

import pytest
from playwright.sync_api import StorageState, expect

from orders.demo.accounts import OPERATOR
from tests.demo.watching import wait_until
from tests.e2e.people import Customer, Staff
from tests.e2e.windows import Windows

pytestmark = pytest.mark.e2e

SCHEDULES = "/admin/jobs/schedule/"
NAME = "greet the first customer"


@pytest.fixture
def operator(windows: Windows, sessions: dict[str, StorageState]) -> Staff:
    """Somebody whose browser runs no script."""
    return windows.open(Staff, storage_state=sessions[OPERATOR], java_script_enabled=False)


def test_an_operator_keeps_a_schedule(customer: Customer, operator: Staff, viewer: Staff, screenshots: Path) -> None:
    customer.buy()
    page = operator.page
    operator.open(SCHEDULES)
    operator.follow("Add a schedule…")
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Job", exact=True).select_option("orders.send_welcome_email")
    page.get_by_label("Arguments, as JSON").fill('{"customer": 1}')
    page.get_by_label("Cron expression").fill("0 25 * * *")
    page.get_by_label("Time zone").fill("Europe/Berln")
    operator.press("Preview")
    expect(page.get_by_text('Did you mean "Europe/Berlin"?')).to_be_visible()
    expect(page.get_by_text("Write five fields")).to_be_visible()
    expect(page.get_by_text("customer_id")).to_be_visible()
    expect(page.get_by_role("button", name="Add the schedule")).to_have_count(0)

    page.get_by_label("Arguments, as JSON").fill('{"customer_id": 1}')
    page.get_by_label("Cron expression").fill("30 4 1 1 *")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    operator.press("Preview")
    expect(page.get_by_role("region", name="What it would do").get_by_role("listitem")).to_have_count(5)
    expect(page.get_by_text("At 04:30, on day 1 of the month, only in January").first).to_be_visible()
    page.screenshot(path=screenshots / "schedule-add.png", full_page=True)
    # Enter saves what the preview showed.
    with page.expect_navigation():
        page.get_by_label("Reason").press("Enter")
    operator.expect_message("was added")
    schedule = page.url.partition("/admin")[2]

    operator.follow("Run now…")
    operator.press("Run it now")
    operator.expect_message("Its run was asked for")

    def has_succeeded() -> bool:
        operator.open(f"/admin{schedule}")
        return page.get_by_role("region", name="Ticks").get_by_text("succeeded").count() > 0

    wait_until(has_succeeded, seconds=30, what="the run of the schedule to succeed")
    operator.follow("Pause…")
    page.get_by_label("For how long").fill("2h")
    page.get_by_label("Reason").fill("the mail server is moved")
    operator.press("Pause the schedule")
    operator.open(SCHEDULES)
    expect(page.get_by_text("the mail server is moved")).to_be_visible()
    page.screenshot(path=screenshots / "schedules-paused.png", full_page=True)

    viewer.open(SCHEDULES)
    expect(viewer.page.get_by_text("the mail server is moved")).to_be_visible()
    expect(viewer.page.get_by_role("link", name=pattern("Resume|Run now|Add a schedule"))).to_have_count(0)
    viewer.follow(NAME)
    expect(viewer.page.locator("main").get_by_role("link", name=pattern("…$"))).to_have_count(0)

    operator.follow(f"Resume: {NAME}")
    operator.press("Resume the schedule")
    operator.follow("Edit…")
    page.get_by_label("Cron expression").fill("30 5 1 1 *")
    operator.press("Preview")
    expect(page.locator(".jobs-changes")).to_contain_text("30 5 1 1 *")
    page.get_by_label("Reason").fill("an hour later")
    operator.press("Save the changes", within=page.get_by_role("region", name="What it would do"))
    page.screenshot(path=screenshots / "schedule.png", full_page=True)
    operator.follow("Revert…")
    page.get_by_label("Reason").fill("it was right")
    operator.press("Revert the edit")
    expect(page.get_by_text("At 04:30, on day 1").first).to_be_visible()
    operator.follow("Remove…")
    page.get_by_label("Reason").fill("it was a trial")
    operator.press("Remove the schedule")
    expect(page.get_by_text(NAME)).to_have_count(0)

"""What somebody writes to do harm is text in a real browser too: no element, no script, no dialog, no complaint."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, expect

from tests.e2e.people import Staff

pytestmark = pytest.mark.e2e

HOSTILE = "\"'><img src=x55 onerror=alert(55)><script>alert(55)</script>"
SCHEDULES = "/admin/jobs/schedule/"


def test_a_hostile_name_and_reason_are_shown_as_they_were_written(operator: Staff) -> None:
    said: list[str] = []
    page = operator.page
    page.on("dialog", lambda dialog: _note(said, dialog))
    operator.open(SCHEDULES)
    operator.follow("Add a schedule…")
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_label("Job", exact=True).select_option("orders.send_welcome_email")
    page.get_by_label("Arguments, as JSON").fill('{"customer_id": 1}')
    page.get_by_label("Cron expression").fill("30 4 1 1 *")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    operator.press("Preview")
    page.get_by_label("Reason").fill(HOSTILE)
    operator.press("Add the schedule")

    own = page.url.partition("/admin")[2]
    for address in (
        f"/admin{own}",
        SCHEDULES,
        "/admin/jobs/auditentry/",
        "/admin/jobs/jobrun/?q=schedule:" + "%3Cimg%3E",
    ):
        operator.open(address)
        assert page.locator("img[src=x55]").count() == 0, address
    operator.open(SCHEDULES)
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert said == []


def _note(said: list[str], dialog: Dialog) -> None:
    said.append(dialog.message)
    dialog.dismiss()

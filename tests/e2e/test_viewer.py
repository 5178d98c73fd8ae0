"""The viewer account: sees the console, changes nothing."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.dead import AUDIT, DEAD_JOBS, audit_of, dead_run, row_of
from tests.e2e.people import Customer, Staff

pytestmark = pytest.mark.e2e


def test_the_viewer_sees_dead_jobs_and_no_button_that_changes_one(
    customer: Customer, operator: Staff, viewer: Staff
) -> None:
    _number, run = dead_run(customer, operator)

    viewer.open(DEAD_JOBS)
    expect(row_of(viewer, run)).to_be_visible()
    for role in ("button", "link"):
        expect(viewer.page.get_by_role(role, name=re.compile("^Retry"))).to_have_count(0)
    # The tab of what was discarded is there to look at.
    expect(viewer.page.get_by_role("button", name="Discard")).to_have_count(0)
    expect(viewer.page.get_by_role("link", name=re.compile("^Discard(?!ed)"))).to_have_count(0)
    viewer.open(run)
    expect(viewer.page.get_by_text("Traceback (most recent call last)")).to_be_visible()
    expect(viewer.page.locator("main").get_by_role("button")).to_have_count(0)
    expect(viewer.page.get_by_text("Raw payload")).to_have_count(0)


@pytest.mark.parametrize("action", ["retry", "discard"])
def test_what_the_viewer_posts_by_hand_is_refused_and_written_down(
    customer: Customer, operator: Staff, viewer: Staff, action: str
) -> None:
    _number, run = dead_run(customer, operator)
    viewer.open(run)
    token = viewer.page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    answer = viewer.page.request.post(
        f"{viewer.page.url}{action}/", form={"csrfmiddlewaretoken": token, "reason": "me too"}
    )

    assert answer.status == 403
    operator.open(run)
    expect(operator.page.get_by_role("heading", level=1)).to_contain_text("dead")
    expect(audit_of(operator, run)).to_contain_text(["refused"])


def test_the_viewer_reads_the_audit(viewer: Staff) -> None:
    viewer.open(AUDIT)


def test_the_viewer_cannot_break_a_partner(viewer: Staff) -> None:
    viewer.open("/staff/partners/")
    expect(viewer.page.locator("main").get_by_role("button")).to_have_count(0)

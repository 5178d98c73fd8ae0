"""Dead jobs: an operator retries and discards them, one by one and all that match, and the audit keeps who and why."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from tests.e2e.dead import AUDIT, DEAD_JOBS, audit_of, dead_run, row_of
from tests.e2e.people import GOOD_POSTCODE, Customer, Staff
from tests.e2e.windows import Windows

pytestmark = pytest.mark.e2e


def test_a_retried_run_dies_again_while_the_cause_is_there(customer: Customer, operator: Staff) -> None:
    _number, run = dead_run(customer, operator)
    operator.press("Retry")

    operator.expect_message("Retried: the run is back in its queue.")
    expect(operator.page.locator(".jobs-timeline")).to_contain_text("Retried by operator")
    operator.open_run_once(run, "dead")
    operator.open(DEAD_JOBS)
    expect(row_of(operator, run)).to_have_count(1)


def test_a_retried_run_does_its_work_once_the_cause_is_mended(customer: Customer, operator: Staff) -> None:
    _number, run = dead_run(customer, operator)
    customer.follow("Correct the address")
    customer.page.get_by_label("Postcode").fill(GOOD_POSTCODE)
    customer.press("Send it there")
    customer.expect_all_done(seconds=15)

    operator.open(DEAD_JOBS)
    row_of(operator, run).get_by_role("checkbox").check()
    operator.press(re.compile("^Retry selected"))
    operator.press("Retry 1 job")
    operator.expect_message("1 dead job retried.")
    operator.open_run_once(run, "succeeded")


def test_discarding_wants_a_reason_and_the_audit_keeps_it(customer: Customer, operator: Staff) -> None:
    _number, run = dead_run(customer, operator)
    reason = f"the customer cancelled, ticket {uuid4().hex[:8]}"
    operator.follow(re.compile("^Discard"))
    operator.page.get_by_label("Reason").fill(reason)
    operator.press("Discard the run")

    expect(operator.page.get_by_role("heading", level=1)).to_contain_text("discarded")
    audited = audit_of(operator, run)
    expect(audited).to_have_count(1)
    for text in ("operator", "discard", reason):
        expect(audited).to_contain_text(text)
    operator.open(f"{DEAD_JOBS}?shown=resolved")
    expect(row_of(operator, run)).to_contain_text("by operator")


def test_a_double_click_discards_once(customer: Customer, operator: Staff) -> None:
    _number, run = dead_run(customer, operator)
    operator.follow(re.compile("^Discard"))
    operator.page.get_by_label("Reason").fill("clicked twice")
    operator.page.get_by_role("button", name="Discard the run").dblclick()
    operator.page.wait_for_url(f"**{run}")

    expect(audit_of(operator, run)).to_have_count(1)


def test_the_same_decision_in_two_windows_is_taken_once(customer: Customer, operator: Staff, windows: Windows) -> None:
    _number, run = dead_run(customer, operator)
    colleague = windows.open(Staff, storage_state=operator.page.context.storage_state(), java_script_enabled=False)
    # Who comes second is told so, with the run's new state.
    colleague.complaints.expected.add(409)
    for each in (operator, colleague):
        each.open(f"{run}discard/")
        each.page.get_by_label("Reason").fill("decided")
    operator.press("Discard the run")
    colleague.complaints.expected.add(409)
    colleague.press("Discard the run")

    expect(colleague.page.get_by_role("alert")).to_contain_text("Nothing was changed.")
    expect(audit_of(operator, run).filter(has_text="done")).to_have_count(1)


def test_all_that_match_are_retried_after_a_preview_with_reason_and_count(customer: Customer, operator: Staff) -> None:
    # Refused like 00000, and in no other test.
    postcode = "000 000"
    runs = [dead_run(customer, operator, postcode=postcode)[1] for _each in range(2)]
    reason = f"trying again {uuid4().hex[:8]}"
    operator.open(DEAD_JOBS)
    operator.page.get_by_role("searchbox", name="Error").fill(postcode)
    operator.press("Filter")
    operator.follow(re.compile("^Retry all matching"))

    expect(operator.page.get_by_role("heading", level=1)).to_have_text("Retry 2 dead jobs?")
    for run in runs:
        expect(operator.page.locator(f'a[href="{run}"]')).to_be_visible()
    operator.page.get_by_label("Reason").fill(reason)
    operator.press("Retry 2 jobs")

    operator.expect_message("2 dead jobs retried.")
    operator.open(f"{AUDIT}?action=requeue")
    expect(operator.page.locator("tbody tr", has_text=reason)).to_contain_text("operator")

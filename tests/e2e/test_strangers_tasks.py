"""Five tasks that a stranger has at night, each within four clicks of the overview. To type is no click."""

from __future__ import annotations

from re import compile as pattern
from typing import Any

import pytest
from playwright.sync_api import StorageState, expect

from jobs import bulk
from jobs.models import BulkAction
from orders.demo.accounts import OPERATOR
from tests.demo.watching import wait_until
from tests.e2e.dead import dead_run, row_of
from tests.e2e.people import Customer, Staff
from tests.e2e.strangers import Stranger
from tests.e2e.windows import Windows
from tests.engine import make_job, work_off

__all__ = ["make_job"]

pytestmark = pytest.mark.e2e

QUEUE = "critical"
# With more than twenty a canary goes first, and their number is typed.
MANY = 21
_partner = {"is_down": True}


def _call_partner(number: int) -> None:
    if _partner["is_down"]:
        raise ConnectionError(f"no answer to {number}")


@pytest.fixture
def stranger(windows: Windows, sessions: dict[str, StorageState]) -> Stranger:
    return windows.open(Stranger, storage_state=sessions[OPERATOR])


def test_why_a_job_failed_and_who_discarded_it(customer: Customer, operator: Staff, stranger: Stranger) -> None:
    _number, run = dead_run(customer, operator)
    stranger.begin()
    stranger.runs_that_are("dead")
    stranger.pick(run)
    stranger.expect_answer("InvalidAddress", at=".jobs-verdict")
    stranger.expect_answer("Traceback (most recent call last)", at="#jobs-latest-attempt pre")

    operator.follow(pattern("^Discard"))
    operator.page.get_by_label("Reason").fill("the customer cancelled, ticket 4713")
    operator.press("Discard the run")

    stranger.begin()
    stranger.runs_that_are("dead")
    stranger.follow("Discarded", within=stranger.page.locator(".jobs-tabs"))
    for text in ("by operator", "ticket 4713"):
        stranger.expect_answer(text, at=row_of(stranger, run))

    stranger.begin()
    stranger.follow("Audit")
    stranger.page.get_by_label("Target").fill(run.rstrip("/").rpartition("/")[2])
    stranger.press("Filter")
    for text in ("operator", "discard", "ticket 4713"):
        stranger.expect_answer(text, at=".jobs-table tbody tr")


def test_a_queue_is_paused_says_so_and_is_seen_to_resume(
    customer: Customer, operator: Staff, stranger: Stranger
) -> None:
    stranger.begin()
    stranger.follow(QUEUE, within=stranger.page.locator("#jobs-now .jobs-table"))
    stranger.follow("Pause…")
    stranger.page.get_by_label("Reason").fill("the gateway moves")
    stranger.press("Pause the queue")
    stranger.expect_answer("is paused: nothing of it starts", at=".messagelist")
    clicks = stranger.clicks

    number = customer.buy()
    run = operator.run_of(number, "charge_order")
    operator.open_run_once(run, "queued")
    _expect_why(stranger, run, "queued", "paused", "by operator: the gateway moves")

    stranger.open(f"/admin/jobs/queuepause/of/{QUEUE}/")
    stranger.clicks = clicks
    stranger.press("Resume", within=stranger.page.locator("main"))
    stranger.expect_answer("The queue goes on", at=".messagelist")
    expect(stranger.page.get_by_role("link", name="Pause…")).to_be_visible()
    customer.open(f"/orders/{number}/")
    customer.expect_all_done(seconds=30)


def test_why_a_payment_is_not_running(customer: Customer, operator: Staff, stranger: Stranger) -> None:
    operator.tell_gateway("error")
    try:
        number = customer.buy()
        expect(customer.step("Payment")).to_contain_text(pattern("attempt [23] of 10"))
        run = operator.run_of(number, "charge_order")
        _expect_why(stranger, run, "retrying", "retry-later", "GatewayUnavailable")
    finally:
        operator.heal_gateway()
    customer.expect_all_done(seconds=30)


@pytest.mark.django_db(transaction=True)
def test_a_cause_is_revived_with_a_canary_first(
    make_job: Any, bare_windows: Windows, bare_session: StorageState
) -> None:
    _partner["is_down"] = True
    job = make_job(_call_partner, "tests.call_partner", retry=1)
    job.enqueue_many((number,) for number in range(MANY))
    work_off()
    _partner["is_down"] = False

    stranger = bare_windows.open(Stranger, storage_state=bare_session)
    stranger.begin()
    stranger.follow("Failures")
    stranger.follow("tests.call_partner")
    stranger.follow("Retry all…")
    expect(stranger.page.get_by_label("Canary")).to_have_value("5")
    stranger.page.get_by_label("Reason").fill("the partner is back, ticket 4712")
    stranger.page.get_by_label(f"Type {MANY}").fill(str(MANY))
    stranger.press(f"Retry {MANY} jobs")
    stranger.expect_answer("Bulk action", at="h1")

    action = BulkAction.objects.get()
    bulk.turn(action.pk)
    action.refresh_from_db()
    assert (action.state, action.done) == ("canary", 5)
    wait_until(lambda: _has_gone_on(action), seconds=30, what="all to be revived")
    stranger.page.reload()
    stranger.expect_answer(pattern(rf"of these ok\s+{MANY}"), at="#jobs-live")


def _has_gone_on(action: BulkAction) -> bool:
    work_off()
    return bulk.turn(action.pk) is None


def _expect_why(stranger: Stranger, run: str, state: str, code: str, text: str) -> None:
    """A retry's time comes now and then just as one looks."""

    def tells() -> bool:
        stranger.begin()
        stranger.runs_that_are(state)
        stranger.pick(run)
        return stranger.page.locator(f'#jobs-why[data-why="{code}"]').count() == 1

    wait_until(tells, seconds=20, what=f"{run} to say {code}")
    stranger.expect_answer("Why isn't it running?", at="#jobs-why-title")
    stranger.expect_answer(text, at="#jobs-why")

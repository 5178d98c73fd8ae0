"""An order's workflow stops at a step: an operator finds it in the graph, and lets the others go on without it."""

from __future__ import annotations

from pathlib import Path
from re import compile as pattern

import pytest
from playwright.sync_api import expect

from tests.demo.watching import wait_until
from tests.e2e.dead import dead_run
from tests.e2e.people import Customer, Staff

pytestmark = pytest.mark.e2e


def test_an_operator_finds_the_step_that_failed_and_skips_it(
    customer: Customer, operator: Staff, viewer: Staff, screenshots: Path
) -> None:
    _number, run = dead_run(customer, operator)
    operator.open(run)
    operator.follow(pattern("^workflow [0-9]+, Order"))
    page = operator.page
    workflow = f"/admin/{page.url.partition('/admin/')[2]}"
    _wait_for(operator, workflow, "failed")

    page.screenshot(path=screenshots / "workflow.png", full_page=True)
    graph = page.get_by_role("group", name=pattern("^Steps of Order"))
    expect(graph.get_by_role("link")).to_have_count(6)
    graph.locator("a", has_text="warehouse").click()
    page.wait_for_url(f"**{run}")
    operator.look_over()

    viewer.open(workflow)
    expect(viewer.page.get_by_text(pattern("Skip…|Retry from here…"))).to_have_count(0)

    operator.open(workflow)
    operator.follow("Skip…", within=page.get_by_role("row").filter(has_text="orders.notify_warehouse"))
    page.get_by_label("Reason").fill("The customer fetches it from the shop")
    operator.press("Skip the step")
    operator.expect_message("is skipped")
    _wait_for(operator, workflow, "succeeded")
    page.screenshot(path=screenshots / "workflow-skipped.png", full_page=True)
    expect(page.get_by_role("row").filter(has_text="orders.notify_warehouse")).to_contain_text("fetches it")


def _wait_for(operator: Staff, workflow: str, state: str) -> None:
    """Look at a workflow's page until it is in a state."""

    def is_so() -> bool:
        operator.open(workflow)
        return state in operator.page.locator("#jobs-live .jobs-state").first.inner_text()

    wait_until(is_so, seconds=60, what=f"{workflow} to be {state}")

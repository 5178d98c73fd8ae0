"""An operator pauses a queue, sees what waits, and lets it go on; and looks at who works."""

from __future__ import annotations

from pathlib import Path
from re import compile as pattern

import pytest
from playwright.sync_api import expect

from tests.demo.watching import wait_until
from tests.e2e.people import Customer, Staff

pytestmark = pytest.mark.e2e

QUEUES = "/admin/jobs/queuepause/"
WORKERS = "/admin/jobs/workerprocess/"
QUEUE = "critical"
DESK, TELEPHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


def take(staff: Staff, folder: Path, name: str) -> None:
    for theme in ("light", "dark"):
        for window in (DESK, TELEPHONE):
            staff.page.set_viewport_size(window)
            staff.page.emulate_media(color_scheme=theme)
            staff.look_over()
            picture = folder / f"{name}-{theme}-{window['width']}.png"
            staff.page.screenshot(path=picture, full_page=True, animations="disabled")
    staff.page.set_viewport_size(DESK)
    staff.page.emulate_media(color_scheme="light")


def test_an_operator_pauses_a_queue_and_sees_it_resume(
    customer: Customer, operator: Staff, viewer: Staff, screenshots: Path
) -> None:
    operator.open(QUEUES)
    operator.follow(QUEUE)
    operator.follow("Pause…")
    operator.page.get_by_label("Until").fill("2h")
    operator.page.get_by_label("Reason").fill("the gateway is down, ticket 4711")
    take(operator, screenshots, "queue-pause")
    operator.press("Pause the queue")
    operator.expect_message("is paused")

    number = customer.buy()
    run = operator.run_of(number, "charge_order")

    def waits() -> bool:
        operator.open(QUEUES)
        depth = operator.page.get_by_role("row", name=pattern(QUEUE)).get_by_role("cell").nth(1)
        return bool(pattern("[1-9]").match(depth.inner_text().strip()))

    wait_until(waits, seconds=20, what="the payment to wait")
    operator.open(run)
    expect(operator.page.get_by_role("heading", level=1)).to_contain_text("queued")
    operator.open(QUEUES)
    take(operator, screenshots, "queues")
    viewer.open(f"{QUEUES}of/{QUEUE}/")
    expect(viewer.page.locator("#content").get_by_text("ticket 4711")).to_be_visible()
    expect(viewer.page.get_by_role("button", name="Resume")).to_have_count(0)

    operator.follow(QUEUE)
    take(operator, screenshots, "queue")
    operator.follow("Clear…")
    take(operator, screenshots, "queue-clear")
    operator.follow("Back")
    operator.press("Resume", within=operator.page.locator("main"))
    customer.open(f"/orders/{number}/")
    customer.expect_all_done(seconds=30)

    operator.open(WORKERS)
    expect(operator.page.get_by_role("columnheader", name="Threads busy").first).to_be_visible()
    take(operator, screenshots, "workers")
    operator.page.locator(".jobs-supervisor").get_by_role("link", name="Quiet…").first.click()
    take(operator, screenshots, "worker-quiet")

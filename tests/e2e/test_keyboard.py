"""With Tab, Enter and what one types: from the log-in to a dead job that goes on, and a queue that is paused."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from jobs import queues
from jobs.models import AuditEntry, JobRun
from tests.e2e.bare import NAME, PASSWORD
from tests.e2e.people import Staff
from tests.e2e.windows import Windows
from tests.engine import make_job, work_off

__all__ = ["make_job"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

# The navigation, a table and a form are shorter than this.
MOST_TABS = 120
_FOCUSED = """() => {
    const at = document.activeElement, look = getComputedStyle(at);
    const label = at.labels?.length ? at.labels[0].textContent : at.getAttribute("aria-label") || at.textContent;
    const name = (label || at.value || "").replace(/\\s+/g, " ").trim();
    const isSeen = look.outlineStyle !== "none" || look.boxShadow !== "none" || at.matches("input, select, textarea");
    return {tag: at.tagName, name, isSeen};
}"""


def _call_partner() -> None:
    raise ConnectionError("no answer")


def tab_to(page: Page, start: str, *, tag: str = "") -> None:
    """Press Tab until what is called so has the focus, and can be seen to have it."""
    passed = []
    for _each in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        passed.append(focused["name"][:30])
        if focused["name"].startswith(start) and tag in ("", focused["tag"]):
            assert focused["isSeen"], f"nobody sees that {start} has the focus"
            return
    raise AssertionError(f"no {start} among {passed}")


def enter(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_the_keyboard_is_enough(make_job: Any, bare_windows: Windows) -> None:
    run = make_job(_call_partner, "tests.call_partner", retry=1).enqueue()
    work_off()
    staff = bare_windows.open(Staff)
    page = staff.page
    staff.open("/admin/jobs/")

    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type(NAME)
    tab_to(page, "Password")
    page.keyboard.type(PASSWORD)
    enter(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")

    tab_to(page, "Dead jobs", tag="A")
    enter(page)
    tab_to(page, "tests.call_partner", tag="A")
    enter(page)
    tab_to(page, "Reason", tag="INPUT")
    page.keyboard.type("the partner answers again")
    tab_to(page, "Retry", tag="BUTTON")
    enter(page)
    staff.expect_message("Retried: the run is back in its queue.")
    assert JobRun.objects.get(pk=run.id).state == "queued"

    tab_to(page, "Overview", tag="A")
    enter(page)
    tab_to(page, "default", tag="A")
    enter(page)
    tab_to(page, "Pause…", tag="A")
    enter(page)
    tab_to(page, "Until")
    page.keyboard.type("2h")
    tab_to(page, "Reason")
    page.keyboard.type("the partner moves")
    tab_to(page, "Pause the queue", tag="BUTTON")
    enter(page)
    staff.expect_message("The queue is paused")
    pause = queues.standings().of("default").pause
    assert pause is not None
    assert pause.reason == "the partner moves"
    reasons = set(AuditEntry.objects.values_list("reason", flat=True))
    assert {"the partner answers again", "the partner moves"} <= reasons

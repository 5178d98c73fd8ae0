"""What a page of the console does by itself while somebody looks, on pages that a test makes up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

import jobs

pytestmark = pytest.mark.e2e

SCRIPT = (Path(jobs.__file__).parent / "static/jobs/console.js").read_text()
LIST = """<!doctype html><title>Batches</title><div id="jobs-live" data-refresh="0.2">
<div class="jobs-scroll" tabindex="0">{} of 3</div><a href="#">a link</a></div><script>{}</script>"""
LOGIN = "<!doctype html><title>Log in</title><h1>Log in</h1>"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    yield page
    page.close()


def serve(page: Page, *answers: str) -> None:
    """Open a list whose address answers with each of these, and with the last of them from then on."""
    ahead = list(answers)

    def answer(route: Route) -> None:
        is_list = route.request.url.endswith("/list/")
        body = (ahead.pop(0) if len(ahead) > 1 else ahead[0]) if is_list else ""
        route.fulfill(status=200 if is_list else 404, content_type="text/html", body=body)

    page.route("**/*", answer)
    page.goto("http://console.invalid/list/")


def a_list(number: int) -> str:
    return LIST.format(number, SCRIPT)


def test_the_login_is_shown_once_it_has_run_out(page: Page) -> None:
    serve(page, a_list(1), a_list(2), a_list(3), LOGIN)
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_table_that_was_clicked_on_goes_on_and_keeps_its_focus(page: Page) -> None:
    serve(page, *[a_list(1).replace('tabindex="0"', 'tabindex="0" autofocus')] * 2, a_list(3))
    expect(page.locator(".jobs-scroll")).to_have_text("3 of 3")
    expect(page.locator(".jobs-scroll")).to_be_focused()


def test_who_is_on_a_link_is_not_moved_away_from_it(page: Page) -> None:
    serve(page, a_list(1).replace("<a ", "<a autofocus "), a_list(2))
    page.wait_for_timeout(1000)
    expect(page.get_by_role("link")).to_be_focused()
    expect(page.locator(".jobs-scroll")).to_have_text("1 of 3")

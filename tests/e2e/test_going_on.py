"""What a page of the console does by itself while somebody looks, on pages that a test makes up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

import jobs

pytestmark = pytest.mark.e2e

STATIC = Path(jobs.__file__).parent / "static/jobs"
SCRIPT = "".join(f"<script>{(STATIC / name).read_text()}</script>" for name in ("times.js", "live.js"))
LIST = """<!doctype html><title>Batches</title><div id="jobs-live" data-refresh="0.2">
<div class="jobs-scroll" tabindex="0">{} of 3</div><a href="#">a link</a></div>{}"""
KEEPING = """<!doctype html><title>Runs</title><main class="jobs-console"><form><input name="q"></form>
<div id="jobs-keeping" data-stale="Away since %s." data-back="Back." data-new="%s new">
<button id="jobs-pause" type="button">Pause</button><p id="jobs-stale" hidden></p></div>
<p id="jobs-said" role="status"></p>
<div id="jobs-live" data-refresh="0.2"><table>{}</table></div><button type="button">Retry</button></main>{}"""
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


def rows(*names: str) -> str:
    return KEEPING.format("".join(f'<tr data-key="{name}"><td>run {name}</td></tr>' for name in names), SCRIPT)


def test_who_is_on_a_link_stays_on_it(page: Page) -> None:
    serve(page, a_list(1).replace("<a ", "<a autofocus "), a_list(2))
    expect(page.locator(".jobs-scroll")).to_have_text("2 of 3")
    expect(page.get_by_role("link")).to_be_focused()


def test_who_fills_in_a_form_is_left_alone(page: Page) -> None:
    serve(page, rows("1").replace("<input ", "<input autofocus "), rows("2"))
    page.wait_for_timeout(700)
    expect(page.get_by_text("run 1")).to_be_visible()
    page.locator("input").blur()
    expect(page.get_by_role("button", name="1 new")).to_be_visible()


def test_new_rows_wait_until_they_are_asked_for(page: Page) -> None:
    serve(page, rows("1"), rows("4", "3", "2", "1"))
    button = page.get_by_role("button", name="3 new")
    expect(button).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("3 new")
    expect(page.locator("tr")).to_have_text(["run 1"])
    button.click()
    expect(page.locator("tr")).to_have_text(["run 4", "run 3", "run 2", "run 1"])


def test_a_page_whose_server_is_away_is_marked_and_its_buttons_are_off(page: Page) -> None:
    is_away = True

    def answer(route: Route) -> None:
        if is_away and "jobs-live" in route.request.headers:
            route.abort()
        else:
            route.fulfill(status=200, content_type="text/html", body=rows("1"))

    page.route("**/*", answer)
    page.goto("http://console.invalid/list/")
    button = page.get_by_role("button", name="Retry")
    expect(page.locator("#jobs-stale")).to_contain_text("Away since")
    expect(button).to_have_attribute("aria-disabled", "")
    is_away = False
    expect(page.locator("#jobs-stale")).to_be_hidden()
    expect(button).not_to_have_attribute("aria-disabled", "")


def test_a_page_that_is_paused_stays_as_it_is(page: Page) -> None:
    serve(page, *(each.replace("0.2", "1") for each in (rows("1"), rows("2", "1"))))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(1500)
    expect(page.get_by_text("new")).to_have_count(0)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="1 new")).to_be_visible()


def test_times_are_the_readers_own(chromium: Browser) -> None:
    page = chromium.new_page(timezone_id="Asia/Kathmandu", locale="en-GB")
    at = '<time datetime="2026-05-03T12:00:00+00:00" title="2026-05-03 12:00:00 UTC" data-local>3 May 12:00:00</time>'
    page.route("**/*", lambda route: route.fulfill(status=200, content_type="text/html", body=at + SCRIPT))
    page.goto("http://console.invalid/")
    expect(page.locator("time")).to_contain_text("17:45:00")
    page.close()

"""Every page, light and dark, on a desk and on a telephone. Leaves pictures for a person to look at."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState

from tests.e2e import tour
from tests.e2e.complaints import barriers_of
from tests.e2e.people import Customer, Staff
from tests.e2e.product import Product
from tests.e2e.windows import Windows

pytestmark = pytest.mark.e2e

DESK, TELEPHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def site(product: Product, chromium: Browser, sessions: dict[str, StorageState]) -> Iterator[tour.Site]:
    windows = Windows(chromium, product.url)
    operator = windows.open(Staff, storage_state=sessions[tour.OPERATOR])
    yield tour.furnish(windows.open(Customer), operator)
    operator.heal_gateway()
    windows.close()


@pytest.fixture(scope="module")
def staff(product: Product, chromium: Browser, sessions: dict[str, StorageState]) -> Iterator[dict[str, Staff]]:
    """One window each for all pages: a new one fetches all styles and scripts anew."""
    windows = Windows(chromium, product.url)
    yield {who: windows.open(Staff, storage_state=session) for who, session in sessions.items()}
    windows.close()


@pytest.mark.parametrize("sight", tour.SIGHTS, ids=lambda sight: sight.name)
def test_a_page_is_whole_in_light_and_dark_at_any_width(
    sight: tour.Sight, site: tour.Site, windows: Windows, staff: dict[str, Staff], screenshots: Path
) -> None:
    visitor = windows.open(Customer) if sight.who == tour.CUSTOMER else staff[sight.who]
    visitor.complaints.expected = {sight.status}
    visitor.complaints.heard.clear()
    sight.go(visitor, site)

    grounds = set()
    for theme, window in itertools.product(THEMES, (DESK, TELEPHONE)):
        visitor.page.set_viewport_size(window)
        visitor.page.emulate_media(color_scheme=theme)
        visitor.look_over()
        if window is DESK:
            barriers = barriers_of(visitor.page, visitor.complaints)
            assert not barriers, f"{visitor.page.url} in {theme}: {barriers}"
        grounds.add((theme, _ground(visitor.page)))
        picture(visitor.page, screenshots, f"{sight.name}-{theme}-{window['width']}")
    assert not visitor.complaints.heard
    assert len(grounds) == len(THEMES), f"light and dark should have a ground each: {grounds}"
    assert len({colour for _theme, colour in grounds}) == len(THEMES), f"dark is as light: {grounds}"


def test_a_page_with_nothing_on_it_is_whole(
    bare_windows: Windows, bare_session: StorageState, screenshots: Path
) -> None:
    faults = []
    staff = bare_windows.open(Staff, storage_state=bare_session)
    for name, path in tour.EMPTY.items():
        staff.open(path)
        if staff.page.locator(".jobs-empty").count() == 0:
            faults.append(f"{path} does not say that it is empty")
        for theme, window in zip(THEMES, (DESK, TELEPHONE), strict=True):
            staff.page.set_viewport_size(window)
            staff.page.emulate_media(color_scheme=theme)
            staff.look_over()
            picture(staff.page, screenshots, f"empty-{name}-{theme}-{window['width']}")
            faults += [f"{path} in {theme}: {each}" for each in barriers_of(staff.page, staff.complaints)]
    assert not faults, "\n".join(faults)


def test_what_the_content_security_policy_stops_is_noticed(product: Product, chromium: Browser) -> None:
    windows = Windows(chromium, product.url)
    customer = windows.open(Customer)
    customer.open("/")
    customer.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">inline</p>')")

    with pytest.raises(AssertionError, match="Content Security Policy"):
        windows.close()


def picture(page: Page, folder: Path, name: str) -> None:
    """Where somebody asked for pictures: they cost a third of the time."""
    if "E2E_SCREENSHOTS" in os.environ:
        page.screenshot(path=folder / f"{name}.png", full_page=True, animations="disabled")


def _ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

"""The product, a browser, and people with windows whose complaints fail the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright

from orders.demo.accounts import OPERATOR, VIEWER
from tests.e2e.bare import bare_session, bare_windows
from tests.e2e.people import Customer, Staff
from tests.e2e.product import Product
from tests.e2e.windows import PATIENCE_MILLISECONDS, Windows

__all__ = ["bare_session", "bare_windows"]

_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    running = Product(tmp_path_factory.mktemp("product"))
    try:
        running.wait_until_running()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is missing. On Debian: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patched:
        # Playwright keeps an event loop in this thread, in which Django would refuse to ask the database.
        patched.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the pages go: the folder that E2E_SCREENSHOTS names, or a temporary one."""
    folder = Path(os.environ.get("E2E_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def windows(product: Product, chromium: Browser) -> Iterator[Windows]:
    """Opens browser windows. What the browser complained about in any of them fails the test."""
    opened = Windows(chromium, product.url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def sessions(product: Product, chromium: Browser) -> dict[str, StorageState]:
    """The cookies of everybody with an account, once logged in."""
    return {username: _logged_in(product, chromium, username) for username in (OPERATOR, VIEWER)}


@pytest.fixture
def customer(windows: Windows) -> Customer:
    return windows.open(Customer)


@pytest.fixture
def operator(windows: Windows, sessions: dict[str, StorageState]) -> Staff:
    return windows.open(Staff, storage_state=sessions[OPERATOR])


@pytest.fixture
def viewer(windows: Windows, sessions: dict[str, StorageState]) -> Staff:
    return windows.open(Staff, storage_state=sessions[VIEWER])


def _logged_in(product: Product, chromium: Browser, username: str) -> StorageState:
    windows = Windows(chromium, product.url)
    staff = windows.open(Staff)
    staff.log_in(product.password(username), username=username)
    cookies = staff.page.context.storage_state()
    windows.close()
    return cookies

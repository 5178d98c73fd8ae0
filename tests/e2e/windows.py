"""Browser windows for the tests, each with cookies of its own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, TypeVar

from playwright.sync_api import Browser

from tests.e2e.complaints import Complaints
from tests.e2e.people import Visitor

PATIENCE_MILLISECONDS = 15_000

Person = TypeVar("Person", bound=Visitor)


class Windows:
    """Opens windows and remembers what the browser complained about in any of them."""

    def __init__(self, chromium: Browser, site: str) -> None:
        self._chromium = chromium
        self._site = site
        self._open = ExitStack()
        self._complaints: list[Complaints] = []

    def open(self, person: type[Person], **options: Any) -> Person:
        """Somebody with a window: `open(Customer, java_script_enabled=False)`. The options are a browser context's."""
        context = self._open.enter_context(self._chromium.new_context(**options))
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        complaints = Complaints(context, self._site)
        self._complaints.append(complaints)
        return person(context.new_page(), self._site, complaints)

    def close(self) -> None:
        """Close them all. Fails with what the browser complained about."""
        self._open.close()
        heard = [each for complaints in self._complaints for each in complaints.heard]
        assert not heard, "\n".join(heard)

"""Staff who have never seen the console, and count the clicks that it takes them from the overview."""

from __future__ import annotations

from re import Pattern
from re import compile as pattern
from typing import Any

from playwright.sync_api import Locator, expect

from tests.e2e.people import Staff

OVERVIEW = "/admin/jobs/"
MOST_CLICKS = 4


class Stranger(Staff):
    """Begins at the overview. To type is no click, and neither is what the test opens to arrange something."""

    def __init__(self, *window: Any) -> None:
        super().__init__(*window)
        self.clicks: list[str] = []

    def begin(self) -> None:
        self.open(OVERVIEW)
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Overview")
        self.clicks = []

    def runs_that_are(self, state: str) -> None:
        """Follow the count of a state, which stands above every page."""
        self.follow(pattern(state), within=self.page.locator(".jobs-strip-counts"))

    def pick(self, run: str) -> None:
        """Open a run that the list shows."""
        self._leave_by(self.page.locator(f'.jobs-table a[href="{run}"]').first)

    def expect_answer(self, text: str | Pattern[str], *, at: Locator | str = "main") -> None:
        """The page tells it, and it took few clicks to get there."""
        expect(self.page.locator(at) if isinstance(at, str) else at).to_contain_text(text)
        assert len(self.clicks) <= MOST_CLICKS, f"{len(self.clicks)} clicks: {self.clicks}"

    def _leave_by(self, target: Locator) -> None:
        self.clicks.append(target.inner_text().strip())
        super()._leave_by(target)

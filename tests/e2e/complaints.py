"""What a browser complains about while pages are visited, and what is wrong with a page as it stands."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

# The answer itself is complained about, with its address.
_ECHO_OF_AN_ANSWER = "Failed to load resource: the server responded"


class Complaints:
    """Listens to all pages of a browser context.

    A breach of the content security policy is an error in the console. `expected` are statuses that a test asks for.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.heard: list[str] = []
        self.expected: set[int] = set()
        context.on("console", self._console)
        context.on("weberror", lambda error: self.heard.append(f"uncaught: {error.error}"))
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_ECHO_OF_AN_ANSWER):
            self.heard.append(f"console: {message.text} at {message.location.get('url')}")

    def _failed(self, request: Request) -> None:
        # What a page was still asking for when it was left.
        if request.failure != "net::ERR_ABORTED":
            self.heard.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.heard.append(f"answered {response.status}: {response.request.method} {response.url}")


def faults_of(page: Page) -> list[str]:
    """What is wrong with the page as it stands: its title, its headings, its width."""
    seen = page.evaluate(
        """() => ({
            title: document.title.trim(),
            headings: [...document.querySelectorAll("h1")].map((heading) => heading.textContent.trim()),
            wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        })"""
    )
    faults = []
    if not seen["title"]:
        faults.append("it has no title")
    if len(seen["headings"]) != 1 or not seen["headings"][0]:
        faults.append(f"it should have one h1, and has {seen['headings']}")
    if seen["wide"] > 0:
        faults.append(f"it is {seen['wide']} px wider than the window")
    return faults

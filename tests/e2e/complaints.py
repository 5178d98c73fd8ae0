"""What a browser complains about while pages are visited, and what is wrong with a page as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

# The answer itself is complained about, with its address.
_ECHO_OF_AN_ANSWER = "Failed to load resource: the server responded"
# It puts an element with a style of its own into the page.
_OF_THE_CHECKER = "console: Applying inline style"
# Without preloading, it asks for no style sheet by itself.
_OPTIONS = {"preload": False, "resultTypes": ["violations"]}
_SERIOUS = ("serious", "critical")


class Complaints:
    """Listens to all pages of a browser context.

    A breach of the content security policy is an error in the console, and a request to another host than the site's
    is wrong. `expected` are statuses that a test asks for.
    """

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.heard: list[str] = []
        self.expected: set[int] = set()
        self._host = urlsplit(site).netloc
        context.on("request", self._asked)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.heard.append(f"uncaught: {error.error}"))
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)

    @contextmanager
    def but_for(self, start: str) -> Iterator[None]:
        """Pass by what begins so and is heard in the block: a checker of the page does what the page may not."""
        before = len(self.heard)
        yield
        self.heard[before:] = [each for each in self.heard[before:] if not each.startswith(start)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_ECHO_OF_AN_ANSWER):
            self.heard.append(f"console: {message.text} at {message.location.get('url')}")

    def _asked(self, request: Request) -> None:
        if request.url.startswith("http") and urlsplit(request.url).netloc != self._host:
            self.heard.append(f"asked another host: {request.url}")

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


def barriers_of(page: Page, complaints: Complaints) -> list[str]:
    """What keeps people with disabilities from using the page, as axe-core finds it: the serious and the critical."""
    # Colours on their way from one theme to the other are nobody's.
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished.catch(() => null)))")
    with complaints.but_for(_OF_THE_CHECKER):
        found = Axe().run(page, options=_OPTIONS).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:5]]}"
        for one in found
        if one["impact"] in _SERIOUS
    ]

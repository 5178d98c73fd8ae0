"""Those who use the product in a browser: customers and staff. Every page they come to is looked over."""

from __future__ import annotations

from re import Pattern

from playwright.sync_api import Locator, Page, expect

from orders.demo.accounts import OPERATOR
from tests.demo.watching import wait_until
from tests.e2e.complaints import Complaints, faults_of

HAMMER = "Claw hammer"
GOOD_POSTCODE = "10115"
GOOD_CARD = "which is accepted"
ALL_BUT_SHIPPED = 5


class Visitor:
    """Somebody with a browser window."""

    def __init__(self, page: Page, site: str, complaints: Complaints) -> None:
        self.page = page
        self.complaints = complaints
        self._site = site

    def open(self, path: str) -> None:
        self.page.goto(self._site + path)
        self.look_over()

    def follow(self, name: str | Pattern[str], *, within: Locator | None = None) -> None:
        """Click a link that leads to another page."""
        self._leave_by((within or self.page.locator("body")).get_by_role("link", name=name).first)

    def press(self, name: str | Pattern[str], *, within: Locator | None = None) -> None:
        """Click a button that leads to another page."""
        self._leave_by((within or self.page.locator("body")).get_by_role("button", name=name).first)

    def look_over(self) -> None:
        faults = faults_of(self.page)
        assert not faults, f"{self.page.url}: {', '.join(faults)}"

    def _leave_by(self, target: Locator) -> None:
        with self.page.expect_navigation():
            target.click()
        self.look_over()


class Customer(Visitor):
    """Buys tools."""

    def buy(self, **choices: str) -> str:
        """Go from the product list to the order's page. Returns the order's number.

        `choices` are those of `fill_in_checkout`.
        """
        self.fill_basket()
        self.follow("Check out")
        self.fill_in_checkout(**choices)
        self.press("Place the order")
        return self.page.locator(".number").inner_text()

    def fill_basket(self) -> None:
        self.open("/")
        self.follow(HAMMER)
        self.press("Add to basket")

    def fill_in_checkout(
        self, *, postcode: str = GOOD_POSTCODE, card: str = GOOD_CARD, email: str = "ada@example.org"
    ) -> None:
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Name").fill("Ada Lovelace")
        self.page.get_by_label("Street and number").fill("Hammer Road 1")
        self.page.get_by_label("Postcode").fill(postcode)
        self.page.get_by_label("City").fill("Berlin")
        self.page.get_by_label(card).check()

    def step(self, name: str) -> Locator:
        """One step of the order's page, as "done", "working", "waiting" or "problem" in its class."""
        return self.page.locator(".steps li", has=self.page.get_by_role("heading", name=name))

    def expect_all_done(self, *, seconds: float) -> None:
        """Everything that happens without a carrier has happened."""
        expect(self.page.locator(".steps li.done")).to_have_count(ALL_BUT_SHIPPED, timeout=seconds * 1000)


class Staff(Visitor):
    """Somebody with an account."""

    def log_in(self, password: str, *, username: str = OPERATOR) -> None:
        self.open("/admin/")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.press("Log in")

    def tell_gateway(self, mode: str, *, seconds: float | None = None, times: int | None = None) -> None:
        """Have the payment gateway behave in this mode, for `times` requests or until told otherwise."""
        self.open("/staff/partners/")
        self.gateway.get_by_label("Requests").fill("" if times is None else str(times))
        self.gateway.get_by_label("Behave like this").select_option(mode)
        self.gateway.get_by_label("Seconds").fill("" if seconds is None else f"{seconds:g}")
        self.press("Tell it", within=self.gateway)

    def heal_gateway(self) -> None:
        self.tell_gateway("ok")

    @property
    def gateway(self) -> Locator:
        return self.page.locator("#payments")

    def charges(self, number: str) -> Locator:
        """What the gateway charged for the order, on the page of the partners."""
        return self.gateway.locator("strong").get_by_text(f"order-{number}", exact=True)

    def run_of(self, number: str, job: str) -> str:
        """The path of the console's page about the order's latest run of `job`."""
        self.open(f"/orders/{number}/")
        found = self.page.locator(".runs").get_by_role("link", name=job).last
        return str(found.get_attribute("href"))

    def open_run_once(self, run: str, state: str, *, seconds: float = 15) -> None:
        """Open a run's page again and again until its heading tells `state`."""
        heading = self.page.get_by_role("heading", level=1)

        def tells() -> bool:
            self.open(run)
            return state in heading.inner_text()

        wait_until(tells, seconds=seconds, what=f"{run} to be {state}")

    def expect_message(self, text: str | Pattern[str]) -> None:
        expect(self.page.locator(".messagelist")).to_contain_text(text)

"""Every page of the product, each with something on it, for those who look at all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from re import compile as pattern

from playwright.sync_api import expect

from tests.demo.watching import wait_until
from tests.e2e.dead import AUDIT, DEAD_JOBS, dead_run
from tests.e2e.people import Customer, Staff, Visitor

RUNS = "/admin/jobs/jobrun/"
QUEUES = "/admin/jobs/queuepause/"
INCIDENTS = "/admin/jobs/incident/"


@dataclass(frozen=True)
class Site:
    """A site on which things happened: the numbers of orders and the paths of runs, by how they ended."""

    done: str
    declined: str
    refused: str
    retrying: str
    done_run: str
    retrying_run: str
    dead_run: str
    discarded_run: str


@dataclass(frozen=True)
class Sight:
    """A page worth looking at: its name in pictures and reports, who looks, and how one gets there."""

    name: str
    who: str
    go: Callable[[Visitor, Site], None]
    status: int = 200


def furnish(customer: Customer, operator: Staff) -> Site:
    """Have something happen of each kind. Leaves the gateway broken, so that a payment goes on retrying."""
    done = customer.buy()
    customer.expect_all_done(seconds=15)
    done_run = operator.run_of(done, "process_order")
    declined = customer.buy(card="which the bank declines")
    expect(customer.step("Payment")).to_have_class("problem")
    _number, discarded = dead_run(customer, operator)
    operator.press("Retry")
    operator.open_run_once(discarded, "dead")
    operator.follow(pattern("^Discard"))
    operator.page.get_by_label("Reason").fill("The customer has moved and cancelled by telephone, ticket 4711")
    operator.press("Discard the run")
    dead_run(customer, operator, postcode="0000")
    refused, dead = dead_run(customer, operator)
    operator.tell_gateway("error")
    retrying = customer.buy()
    expect(customer.step("Payment")).to_contain_text("attempt 2 of 10")
    retrying_run = operator.run_of(retrying, "charge_order")
    _tell_of_deaths(operator)
    _clear_a_queue(operator)
    return Site(done, declined, refused, retrying, done_run, retrying_run, dead, discarded)


def _tell_of_deaths(operator: Staff) -> None:
    """Have an incident opened: more jobs have died within the hour than the rule now says."""
    operator.open("/admin/jobs/incident/rule/edit/?rule=dying")
    operator.page.get_by_label("Limit").fill("1")
    operator.page.locator("#jobs-for").fill("0")
    operator.page.locator(".jobs-confirm").first.get_by_label("Reason").fill("two dead jobs are two too many")
    operator.press(pattern(""), within=operator.page.locator(".jobs-confirm .jobs-buttons").first)


def _clear_a_queue(operator: Staff) -> None:
    """Leaves a bulk action that has ended."""
    operator.open(f"{QUEUES}clear/low/")
    operator.page.get_by_label("Type low").fill("low")
    operator.page.get_by_label("Reason").fill("nobody reads the old reports")
    operator.press("Discard all that waits")


def _at(path: str) -> Callable[[Visitor, Site], None]:
    """Open `path`, in which `{done}` and the like stand for what the site has."""
    return lambda visitor, site: visitor.open(path.format(**vars(site)))


def _basket(visitor: Visitor, site: Site) -> None:
    assert isinstance(visitor, Customer)
    visitor.fill_basket()


def _checkout(visitor: Visitor, site: Site) -> None:
    _basket(visitor, site)
    visitor.follow("Check out")


def _checkout_refused(visitor: Visitor, site: Site) -> None:
    _checkout(visitor, site)
    visitor.press("Place the order")


def _letter(visitor: Visitor, site: Site) -> None:
    visitor.open("/staff/mailbox/")
    visitor.follow(f"Your order {site.done}")


def _report(visitor: Visitor, site: Site) -> None:
    visitor.open("/staff/reports/")
    visitor.follow(pattern(r"^\d{4}-\d\d$"))


def _newsletter(visitor: Visitor, site: Site) -> None:
    visitor.open("/newsletter/")
    visitor.page.get_by_label("E-mail").fill("zoe@example.invalid")
    visitor.press("Put me on the list")
    standing = visitor.page.get_by_role("region", name="How it stands")
    expect(standing).to_contain_text("No mail server takes mail")


def _newsletter_leave(visitor: Visitor, site: Site) -> None:
    visitor.open("/staff/mailbox/")
    visitor.follow("You are on our list")
    visitor.follow(pattern("newsletter.leave"))


def _payment_event(visitor: Visitor, site: Site) -> None:
    visitor.open("/admin/orders/paymentevent/")
    visitor.follow(pattern("^payment"))


def _first_of(path: str) -> Callable[[Visitor, Site], None]:
    """Open the first thing that a list leads to."""

    def go(visitor: Visitor, site: Site) -> None:
        visitor.open(path)
        visitor.follow(pattern("."), within=visitor.page.locator(".jobs-table tbody th"))

    return go


def _then(go: Callable[[Visitor, Site], None], *links: str) -> Callable[[Visitor, Site], None]:
    """Go there, and follow links from there."""

    def further(visitor: Visitor, site: Site) -> None:
        go(visitor, site)
        for link in links:
            visitor.follow(pattern(f"^{link}"), within=visitor.page.locator("#content"))

    return further


def _incident(visitor: Visitor, site: Site) -> None:
    link = visitor.page.locator('#content a[href^="/admin/jobs/incident/"]').filter(
        has_text=pattern("dead|died|failed")
    )

    def is_open() -> bool:
        visitor.open(INCIDENTS)
        return link.count() > 0

    wait_until(is_open, seconds=90, what="an incident to be opened")
    visitor.follow(pattern("dead|died|failed"), within=visitor.page.locator("#content .jobs-table"))


def _views(visitor: Visitor, site: Site) -> None:
    visitor.open(RUNS + "?q=state:dead")
    save = visitor.page.get_by_role("link", name="Save this search…")
    if save.count():
        visitor.follow("Save this search…")
        visitor.page.get_by_label("Name").first.fill("Dead ones")
        visitor.press(pattern("^(Save|Keep)"))
    visitor.open(RUNS + "views/?q=state:retrying")


def _cause(visitor: Visitor, site: Site) -> None:
    visitor.open("/admin/jobs/failurecause/?job=charge_order")
    visitor.follow("orders.charge_order")


def _schedule_misspelt(visitor: Visitor, site: Site) -> None:
    visitor.open("/admin/jobs/schedule/add/?name=weekly&job=orders.send_welcome_email")
    visitor.page.get_by_label("Cron expression").fill("0 25 * * *")
    visitor.page.get_by_label("Time zone").fill("Europe/Berln")
    visitor.press("Preview")


def _payload(visitor: Visitor, site: Site) -> None:
    visitor.open(f"{site.dead_run}payload/")
    visitor.press("Show the payload")


def _reason_missing(visitor: Visitor, site: Site) -> None:
    visitor.open(f"{site.dead_run}discard/")
    visitor.page.get_by_label("Reason").fill(" ")
    visitor.press("Discard the run")


def _stale_form(visitor: Visitor, site: Site) -> None:
    visitor.open("/products/claw-hammer/")
    visitor.page.context.clear_cookies()
    visitor.press("Add to basket")


# The console's pages where nothing has happened yet.
EMPTY = {
    "overview": "/admin/jobs/",
    "runs": RUNS,
    "waiting": RUNS + "waiting/",
    "waiting-retries": RUNS + "waiting/?tab=retrying",
    "dead": DEAD_JOBS,
    "dead-discarded": DEAD_JOBS + "?shown=discarded",
    "failures": "/admin/jobs/failurecause/",
    "bulk-actions": "/admin/jobs/bulkaction/",
    "recovery-rules": "/admin/jobs/recoveryrule/",
    "workers": "/admin/jobs/workerprocess/",
    "alerts": INCIDENTS,
    "schedules": "/admin/jobs/schedule/",
    "batches": "/admin/jobs/batch/",
    "workflows": "/admin/jobs/workflow/",
    "circuits-and-locks": "/admin/jobs/circuitsandlocks/",
    "fuses": "/admin/jobs/fuse/",
    "effects": "/admin/jobs/effect/",
    "emails": "/admin/jobs/sentemail/",
    "metrics": "/admin/jobs/metricminute/",
    "metrics-of-job": "/admin/jobs/metricminute/orders.charge_order/",
    "audit": AUDIT,
}

CUSTOMER, OPERATOR, VIEWER = "customer", "operator", "viewer"
SIGHTS = [
    Sight("shop-shelf", CUSTOMER, _at("/")),
    Sight("shop-product", CUSTOMER, _at("/products/claw-hammer/")),
    Sight("shop-product-sold-out", CUSTOMER, _at("/products/vacuum-flask/")),
    Sight("shop-basket-empty", CUSTOMER, _at("/basket/")),
    Sight("shop-basket", CUSTOMER, _basket),
    Sight("shop-checkout", CUSTOMER, _checkout),
    Sight("shop-checkout-refused", CUSTOMER, _checkout_refused),
    Sight("shop-order-done", CUSTOMER, _at("/orders/{done}/")),
    Sight("shop-order-declined", CUSTOMER, _at("/orders/{declined}/")),
    Sight("shop-order-refused", CUSTOMER, _at("/orders/{refused}/")),
    Sight("shop-order-retrying", CUSTOMER, _at("/orders/{retrying}/")),
    Sight("shop-newsletter", CUSTOMER, _newsletter),
    Sight("shop-newsletter-leave", OPERATOR, _newsletter_leave),
    Sight("shop-pay", CUSTOMER, _at("/orders/{declined}/pay/")),
    Sight("shop-address", CUSTOMER, _at("/orders/{refused}/address/")),
    Sight("shop-not-found", CUSTOMER, _at("/no-such-page/"), status=404),
    Sight("shop-forbidden", CUSTOMER, _at("/orders/{done}/ship/"), status=403),
    Sight("shop-stale-form", CUSTOMER, _stale_form, status=403),
    Sight("staff-order", OPERATOR, _at("/orders/{done}/")),
    Sight("staff-ship", OPERATOR, _at("/orders/{done}/ship/")),
    Sight("staff-partners", OPERATOR, _at("/staff/partners/")),
    Sight("staff-refund", OPERATOR, _at("/staff/refund/ch_any/")),
    Sight("staff-mailbox", OPERATOR, _at("/staff/mailbox/")),
    Sight("staff-letter", OPERATOR, _letter),
    Sight("staff-mailbox-empty-it", OPERATOR, _at("/staff/mailbox/clear/")),
    Sight("office", OPERATOR, _at("/staff/")),
    Sight("office-issues", OPERATOR, _at("/staff/newsletter/")),
    Sight("office-issue-write", OPERATOR, _at("/staff/newsletter/write/")),
    Sight("office-issue", OPERATOR, _at("/staff/newsletter/1/")),
    Sight("office-issue-send", OPERATOR, _at("/staff/newsletter/1/send/")),
    Sight("office-exports", OPERATOR, _at("/staff/exports/")),
    Sight("office-reports", OPERATOR, _at("/staff/reports/")),
    Sight("office-report", OPERATOR, _report),
    Sight("office-stock-files", OPERATOR, _at("/staff/stock-files/")),
    Sight("office-stock-file", OPERATOR, _at("/staff/stock-files/1/")),
    Sight("office-stalled", OPERATOR, _at("/staff/stalled/")),
    Sight("admin-login", CUSTOMER, _at("/admin/login/")),
    Sight("admin-index", OPERATOR, _at("/admin/")),
    Sight("admin-orders", OPERATOR, _at("/admin/orders/order/")),
    Sight("admin-order", OPERATOR, _at("/admin/orders/order/1/change/")),
    Sight("admin-customers", OPERATOR, _at("/admin/orders/customer/")),
    Sight("admin-payment-events", OPERATOR, _at("/admin/orders/paymentevent/")),
    Sight("admin-payment-event", OPERATOR, _payment_event),
    Sight("runs", OPERATOR, _at(RUNS)),
    Sight("overview", OPERATOR, _at("/admin/jobs/")),
    Sight("overview-week", OPERATOR, _at("/admin/jobs/?period=7d")),
    Sight("runs-nothing-found", OPERATOR, _at(RUNS + "?q=error:Nothing&queue=low")),
    Sight("runs-misspelt", OPERATOR, _at(RUNS + "?q=stat:dead")),
    Sight("runs-saved", OPERATOR, _views),
    Sight("runs-export", OPERATOR, _at(RUNS + "export/?q=state:dead")),
    Sight("runs-cancel-all", OPERATOR, _at(RUNS + "many/cancel/?q=state:retrying")),
    Sight("runs-retry-all", OPERATOR, _at(RUNS + "many/retry/?q=state:dead")),
    Sight("run-new", OPERATOR, _at(RUNS + "new/")),
    Sight("run-new-of-job", OPERATOR, _at(RUNS + "new/?job=orders.charge_order")),
    Sight("run-edit", OPERATOR, _at("{dead_run}edit/")),
    Sight("run-removed", OPERATOR, _at(RUNS + "01900000-0000-7000-8000-000000000000/"), status=404),
    Sight("bulk-actions", OPERATOR, _at("/admin/jobs/bulkaction/")),
    Sight("bulk-action", OPERATOR, _first_of("/admin/jobs/bulkaction/")),
    Sight("recovery-rules", OPERATOR, _at("/admin/jobs/recoveryrule/")),
    Sight("waiting", OPERATOR, _at(RUNS + "waiting/")),
    Sight("waiting-retries", OPERATOR, _at(RUNS + "waiting/?tab=retrying")),
    Sight("run-postpone", OPERATOR, _at("{retrying_run}postpone/")),
    Sight("run-succeeded", OPERATOR, _at("{done_run}")),
    Sight("run-retrying", OPERATOR, _at("{retrying_run}")),
    Sight("run-dead", OPERATOR, _at("{dead_run}")),
    Sight("run-discarded", OPERATOR, _at("{discarded_run}")),
    Sight("run-discard-without-reason", OPERATOR, _reason_missing),
    Sight("run-cancel", OPERATOR, _at("{retrying_run}cancel/")),
    Sight("run-payload", OPERATOR, _payload),
    Sight("dead", OPERATOR, _at(DEAD_JOBS)),
    Sight("dead-nothing-found", OPERATOR, _at(DEAD_JOBS + "?error=Nothing")),
    Sight("dead-dealt-with", OPERATOR, _at(DEAD_JOBS + "?shown=resolved")),
    Sight("dead-retry-all", OPERATOR, _at(DEAD_JOBS + "retry/")),
    Sight("dead-discard-all", OPERATOR, _at(DEAD_JOBS + "discard/")),
    Sight("dead-discarded", OPERATOR, _at(DEAD_JOBS + "?shown=discarded")),
    Sight("dead-undo-all", OPERATOR, _at(DEAD_JOBS + "undo/")),
    Sight("failures", OPERATOR, _at("/admin/jobs/failurecause/")),
    Sight("cause", OPERATOR, _cause),
    Sight("batches", OPERATOR, _at("/admin/jobs/batch/")),
    Sight("batches-nothing-found", OPERATOR, _at("/admin/jobs/batch/?name=Nothing")),
    Sight("batch", OPERATOR, _first_of("/admin/jobs/batch/")),
    Sight("workflows", OPERATOR, _at("/admin/jobs/workflow/")),
    Sight("workflow", OPERATOR, _first_of("/admin/jobs/workflow/")),
    Sight("circuits-and-locks", OPERATOR, _at("/admin/jobs/circuitsandlocks/")),
    Sight("circuit-open", OPERATOR, _at("/admin/jobs/circuitsandlocks/circuit/open/?circuit=list_provider")),
    Sight("fuses", OPERATOR, _at("/admin/jobs/fuse/")),
    Sight("fuse-add", OPERATOR, _at("/admin/jobs/fuse/add/?job=orders.charge_order&length=2h&where=order_id%3D17")),
    Sight("fuse-misspelt", OPERATOR, _at("/admin/jobs/fuse/add/?job=orders.charge_order&where=order%3D17")),
    Sight("schedules", OPERATOR, _at("/admin/jobs/schedule/")),
    Sight("schedule", OPERATOR, _first_of("/admin/jobs/schedule/")),
    Sight("schedule-edit", OPERATOR, _then(_first_of("/admin/jobs/schedule/"), "Edit")),
    Sight("schedule-add", OPERATOR, _at("/admin/jobs/schedule/add/?job=orders.send_welcome_email")),
    Sight("schedule-misspelt", OPERATOR, _schedule_misspelt),
    Sight("effects", OPERATOR, _at("/admin/jobs/effect/")),
    Sight("emails", OPERATOR, _at("/admin/jobs/sentemail/")),
    Sight("metrics", OPERATOR, _at("/admin/jobs/metricminute/")),
    Sight("metrics-job", OPERATOR, _at("/admin/jobs/metricminute/orders.charge_order/?period=1h")),
    Sight("metrics-nothing-ran", OPERATOR, _at("/admin/jobs/metricminute/?queue=low&period=1h")),
    Sight("alerts", OPERATOR, _at(INCIDENTS)),
    Sight("incident", OPERATOR, _incident),
    Sight("incident-silence", OPERATOR, _then(_incident, "Silence")),
    Sight("alert-rule", OPERATOR, _at(INCIDENTS + "rule/edit/?rule=dying")),
    Sight("audit", OPERATOR, _at(AUDIT)),
    Sight("queues", OPERATOR, _at("/admin/jobs/queuepause/")),
    Sight("queue", OPERATOR, _at("/admin/jobs/queuepause/of/critical/")),
    Sight("queue-pause", OPERATOR, _at(QUEUES + "pause/low/")),
    Sight("queue-clear", OPERATOR, _at(QUEUES + "clear/low/")),
    Sight("worker-stop", OPERATOR, _then(_at("/admin/jobs/workerprocess/"), "Stop")),
    Sight("workers", OPERATOR, _at("/admin/jobs/workerprocess/")),
    Sight("viewer-partners", VIEWER, _at("/staff/partners/")),
    Sight("viewer-office-exports", VIEWER, _at("/staff/exports/")),
    Sight("viewer-office-issue", VIEWER, _at("/staff/newsletter/1/")),
    Sight("viewer-dead", VIEWER, _at(DEAD_JOBS)),
    Sight("viewer-run-dead", VIEWER, _at("{dead_run}")),
    Sight("viewer-refused", VIEWER, _at("{dead_run}discard/"), status=403),
]

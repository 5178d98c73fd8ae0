"""The shop's jobs. Each names its queue and its retries and calls a service, and decides nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

from django.conf import settings
from django.utils import timezone

from jobs import Bury, FailedRun, HandBackJob, RetryPolicy, all_up_to, at_once, cron, current_run, exponential, job
from jobs.batches import batch
from jobs.circuits import Circuit
from jobs.iterators import Over
from jobs.workflows import Flow, NoCurrentRun, result_of
from jobs.workflows import current as current_step
from orders import (
    charging,
    correspondence,
    exports,
    fulfilment,
    inventory,
    invoices,
    issues,
    lists,
    maintenance,
    newsletter,
    payment_events,
    payments,
    periods,
    reports,
    stalls,
    stock_files,
    warehouse,
)

# Five minutes in all: long enough for a partner's hiccup, short enough to be watched.
CHARGING = RetryPolicy(
    attempts=10,
    backoff=exponential(first=2, cap=60),
    rules={payments.ChargeRefused: Bury, payments.KeyReused: Bury},
)
NOTIFYING_WAREHOUSE = RetryPolicy(
    attempts=15,
    backoff=exponential(first=2, cap=600),
    rules={warehouse.InvalidAddress: Bury, warehouse.ShipmentRefused: Bury},
)
CONFIRMING = RetryPolicy(attempts=5, backoff=exponential(first=5, cap=600))
MAKING_INVOICES = RetryPolicy(attempts=10, backoff=exponential(first=2, cap=300))
PROCESSING_EVENTS = RetryPolicy(attempts=5, backoff=exponential(first=2, cap=60))
# Half a day in all: a letter that comes next week is no news.
MAILING_ISSUES = RetryPolicy(attempts=8, backoff=exponential(first=10, base=4, cap=4 * 3600))
EXPORTING = RetryPolicy(attempts=10, backoff=exponential(first=2, cap=300))
REPORTING = RetryPolicy(attempts=8, backoff=exponential(first=10, cap=1800), rules={periods.NotAPeriod: Bury})
# While the list provider is down, the runs wait together and one of them looks.
LIST_PROVIDER = Circuit("list_provider", counts=(lists.ListsUnavailable,))
# It counts how many ask at once, and refuses those over it.
FEW_AT_ONCE = at_once(4, name="list_provider")
# A day and a half in all: nobody waits for a newsletter.
SUBSCRIBING = RetryPolicy(
    attempts=12,
    backoff=exponential(first=5, base=3, cap=4 * 3600),
    rules={lists.RequestRefused: Bury},
)
TAKING_STOCK = RetryPolicy(attempts=5, backoff=exponential(first=2, cap=60))


@job(queue="default", subject={"order_id": "orders.Order"})
def process_order(order_id: int) -> None:
    """Start the order's workflow, once."""
    fulfilment.begin(order_id, on_begun=lambda: order_flow(order_id).start())


def order_flow(order_id: int) -> Flow:
    """What is done with an order, and what follows of its payment.

    Payment, fulfilment (stock and warehouse) and confirmation wait for nothing: they succeed and fail on their own.
    """
    flow = Flow(f"Order {order_id}", key=f"order-{order_id}")
    flow.step("payment", charge_order.prepare(order_id))
    flow.step("stock", update_inventory.prepare(order_id))
    flow.step("warehouse", notify_warehouse.prepare(order_id))
    flow.step("confirmation", send_order_confirmation.prepare(order_id))
    outcome, payment = result_of("payment", "outcome"), result_of("payment", "payment")
    paid, declined = outcome.equals("succeeded"), outcome.equals("declined")
    flow.step("invoice", make_invoice.prepare(order_id), after="payment", when=paid)
    flow.step("payment failed", send_payment_failed.prepare(payment), after="payment", when=declined)
    return flow


@job(queue="critical", retry=CHARGING, timeout=30, subject={"order_id": "orders.Order"})
def charge_order(order_id: int) -> charging.Answer:
    """Charge the order's card. A decline is the customer's to mend, so it ends the run.

    In the order's workflow the next steps go by what this returns. Elsewhere, as for another card, it asks for what
    follows in the transaction that closes the payment.
    """
    if _is_step():
        return charging.charge(order_id)
    return charging.charge(order_id, on_paid=make_invoice.enqueue, on_declined=send_payment_failed.enqueue)


def _is_step() -> bool:
    try:
        current_step()
    except NoCurrentRun:
        return False
    return True


@job(queue="default", retry=MAKING_INVOICES, timeout=60, subject={"order_id": "orders.Order"})
def make_invoice(order_id: int) -> None:
    """Make the invoice of a paid order, once."""
    invoices.make(order_id)


@job(queue="default", retry=TAKING_STOCK, timeout=30, subject={"order_id": "orders.Order"})
def update_inventory(order_id: int) -> None:
    """Take the order's goods off the shelf."""
    inventory.take_stock(order_id)


@job(queue="external_apis", retry=NOTIFYING_WAREHOUSE, timeout=30, subject={"order_id": "orders.Order"})
def notify_warehouse(order_id: int) -> None:
    """Have the warehouse pack the order. An address it refuses buries the run, for an operator to look at."""
    fulfilment.notify_warehouse(order_id, on_invalid_address=alert_operators.enqueue)


@job(queue="mailers", retry=CONFIRMING, timeout=60, subject={"order_id": "orders.Order"})
def send_order_confirmation(order_id: int) -> None:
    """Tell the customer what was ordered, once."""
    correspondence.confirm_order(order_id)


@job(queue="mailers", timeout=60, subject={"order_id": "orders.Order"})
def send_shipping_notification(order_id: int) -> None:
    """Tell the customer that the parcel has left."""
    correspondence.announce_shipping(order_id)


@job(queue="mailers", timeout=60, subject={"payment_id": "orders.Payment"})
def send_payment_failed(payment_id: int) -> None:
    """Ask the customer for another card."""
    correspondence.report_declined_card(payment_id)


@job(queue="mailers", timeout=60, subject={"customer_id": "orders.Customer"})
def send_welcome_email(customer_id: int) -> None:
    """Greet a new customer."""
    correspondence.welcome(customer_id)


@job(queue="critical", retry=PROCESSING_EVENTS, timeout=30, subject={"event_pk": "orders.PaymentEvent"})
def process_webhook(event_pk: int) -> None:
    """Apply a stored event of the payment partner, once."""
    payment_events.process(event_pk, on_paid=make_invoice.enqueue, on_declined=send_payment_failed.enqueue)


@job(
    queue="low",
    retry=SUBSCRIBING,
    timeout=30,
    circuit=LIST_PROVIDER,
    limits=[FEW_AT_ONCE],
    subject={"customer_id": "orders.Customer"},
)
def subscribe(customer_id: int) -> None:
    """Put a customer who asked on the newsletter's list. A refused address is kept on the customer and ends the run."""
    newsletter.put_on_list(customer_id, on_listed=send_newsletter_welcome.enqueue)


@job(
    queue="low",
    retry=SUBSCRIBING,
    timeout=30,
    circuit=LIST_PROVIDER,
    limits=[FEW_AT_ONCE],
    subject={"customer_id": "orders.Customer"},
)
def unsubscribe(customer_id: int) -> None:
    """Take a customer who left off the newsletter's list."""
    newsletter.take_off_list(customer_id)


@job(queue="mailers", timeout=60, subject={"customer_id": "orders.Customer"})
def send_newsletter_welcome(customer_id: int) -> None:
    """Tell a new reader, and how to leave."""
    correspondence.welcome_reader(customer_id)


@job(queue="mailers", timeout=60, subject={"order_id": "orders.Order"})
def alert_operators(order_id: int, problem: str) -> None:
    """Tell the operators what a program cannot mend."""
    correspondence.alert_operators(order_id, problem)


@job(queue="low", retry=MAILING_ISSUES, timeout=1800)
def send_issue(issue_id: int) -> int:
    """Ask for an issue's letters, so many at a time. Stopped anywhere, it goes on behind the readers it asked for."""
    pause = timedelta(seconds=settings.NEWSLETTER_SLICE_SECONDS)
    told = finish_issue.prepare(issue_id)
    asked = 0
    with batch(f"Newsletter {issue_id}", key=issues.batch_key(issue_id), on_complete=told) as letters:
        for readers in () if letters.is_filled else issues.slices(issue_id):
            with issues.asking(issue_id, readers):
                calls = ((issue_id, reader) for reader in readers)
                asked += letters.enqueue_many(deliver_issue, calls, slice=issues.SLICE_READERS, every=pause)
            if current_run().stopping():
                raise HandBackJob
    return asked


# Not where the letters about orders wait: ten thousand would be in their way.
@job(queue="low", retry=MAILING_ISSUES, timeout=60, subject={"customer_id": "orders.Customer"})
def deliver_issue(issue_id: int, customer_id: int) -> None:
    """Send an issue to one reader, once. Who has left meanwhile gets none, and the run is discarded."""
    issues.deliver(issue_id, customer_id)


@job(queue="low", timeout=60)
def finish_issue(issue_id: int) -> None:
    """Keep what came of an issue."""
    issues.finish(issue_id)


@cron("0 9 * * thu")
@job(queue="low", timeout=60)
def send_weekly_issue() -> None:
    """Begin to send the issue whose turn it is, if one is ready."""
    issues.send_next(on_sending=send_issue.enqueue)


@job(queue="low", timeout=60)
def note_unmade_export(failed: FailedRun) -> None:
    """Show on the office's page that a run of an export died, which is all that a person there can know."""
    problem = "It could not be made; somebody has to look at its dead run."
    exports.note_problem(failed["arguments"]["export_id"], problem)


@job(queue="low", retry=EXPORTING, timeout=600, on_death=note_unmade_export, subject={"export_id": "orders.Export"})
def cut_export(export_id: int) -> None:
    """Ask for the parts of an export: a batch, filled in one transaction, that has the file built at its end."""

    def ask(slices: Iterator[exports.Slice]) -> None:
        built, missing = build_export.prepare(export_id), note_missing_parts.prepare(export_id)
        name, key = f"Export {export_id}", f"orders-export-{export_id}"
        with batch(name, key=key, on_success=built, on_death=missing) as parts:
            parts.enqueue_many(write_export_part, slices)

    exports.cut(export_id, on_cut=ask)


@job(queue="low", retry=EXPORTING, timeout=120, subject={"export_id": "orders.Export"})
def write_export_part(export_id: int, position: int, first: int, last: int) -> int:
    """Write the lines of one slice, once."""
    return exports.write_part(export_id, position, first, last)


@job(queue="low", retry=EXPORTING, timeout=1800, on_death=note_unmade_export, subject={"export_id": "orders.Export"})
def build_export(export_id: int) -> None:
    """Build the file of an export, once, and have the link mailed."""
    exports.build(export_id, on_built=mail_export.enqueue)


@job(queue="low", timeout=60, subject={"export_id": "orders.Export"})
def note_missing_parts(export_id: int) -> None:
    """Show on the office's page that a part could not be written."""
    exports.note_problem(export_id, "A part could not be written; somebody has to look at its run.")


@job(queue="mailers", timeout=60, subject={"export_id": "orders.Export"})
def mail_export(export_id: int) -> None:
    """Mail the link to an export's file, once."""
    correspondence.send_export(export_id)


@job(queue="low", retry=REPORTING, timeout=600)
def make_monthly_report(month: str) -> None:
    """Make the report of a month, such as "2026-05"."""
    reports.make_monthly(month)


@cron("0 2 * * *", arguments={"today": "{day}"}, missed=all_up_to(7))
@job(queue="low", retry=REPORTING, timeout=600)
def make_daily_report(today: str) -> None:
    """Make the report of the day before `today`, such as "2026-05-17", and delete those of more than 30 days ago."""
    run, day = current_run(), periods.day(today).first
    run.step("report", lambda: reports.make_daily((day - timedelta(days=1)).isoformat()).pk)
    run.step("prune", lambda: reports.prune_daily(day))


@cron("30 3 * * *", arguments={"today": "{day}"}, missed=all_up_to(7))
@job(queue="low", timeout=1800)
def maintain(today: str) -> dict[str, dict[str, int]]:
    """Do what a day such as "2026-06-01" has: daily work, weekly work on Mondays, monthly work on the first."""
    day = date.fromisoformat(today)
    done = {}
    for duty in maintenance.duties(day):
        work = partial(maintenance.do, duty, day, on_month_over=_report)
        # What asks for a run commits together with the step, so that a later attempt asks for no second one.
        done[str(duty)] = current_run().step(duty, work, atomic=duty == maintenance.Duty.MONTHLY)
    return done


def _report(month: str) -> None:
    make_monthly_report.enqueue(month)


@cron("*/10 * * * *", overlap="skip")
@job(queue="low", retry=3, timeout=300)
def recover_stalled_orders() -> int:
    """Ask again for what orders have been missing for an hour, and nobody is at."""
    return stalls.recover(RECOVERY, timezone.now())


@job(queue="mailers", timeout=60)
def alert_stalled(stall_id: int) -> None:
    """Tell the operators of an order that stands still, whatever was asked for."""
    correspondence.report_stall(stall_id)


RECOVERY = stalls.Recovery(
    asks={
        "processing": process_order.enqueue,
        "payment": charge_order.enqueue,
        "stock": update_inventory.enqueue,
        "warehouse": notify_warehouse.enqueue,
        "confirmation": send_order_confirmation.enqueue,
        "invoice": make_invoice.enqueue,
    },
    on_given_up=alert_stalled.enqueue,
)


def _chunks(stock_file_id: int, cursor: object) -> Iterator[tuple[list[int], stock_files.Chunk]]:
    """What is left of a stock file. Its row knows better than the cursor what was taken in."""
    for chunk in stock_files.chunks(stock_file_id):
        yield [chunk.end, chunk.size], chunk


CHUNKS = Over(lambda stock_file_id: stock_file_id, _chunks, name="chunks", measure=lambda at: (at[0], at[1], "bytes"))


@job(queue="low", retry=EXPORTING, timeout=3600, iterates=CHUNKS)
def import_stock(chunk: stock_files.Chunk, stock_file_id: int) -> None:
    """Take a stock file in, chunk by chunk, each line once."""
    stock_files.take_in(stock_file_id, chunk)

"""The shop's jobs. Each names its queue and its retries and calls a service, and decides nothing itself."""

from __future__ import annotations

from jobs import Bury, RetryPolicy, at_once, exponential, job
from jobs.circuits import Circuit
from orders import (
    charging,
    correspondence,
    fulfilment,
    inventory,
    invoices,
    lists,
    newsletter,
    payment_events,
    payments,
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


@job(queue="default")
def process_order(order_id: int) -> None:
    """Start the four steps of an order, which succeed and fail on their own."""
    steps = (charge_order, update_inventory, notify_warehouse, send_order_confirmation)
    fulfilment.begin(order_id, steps=[step.enqueue for step in steps])


@job(queue="critical", retry=CHARGING, timeout=30)
def charge_order(order_id: int) -> None:
    """Charge the order's card. A decline is the customer's to mend, so it ends the run."""
    charging.charge(order_id, on_paid=make_invoice.enqueue, on_declined=send_payment_failed.enqueue)


@job(queue="default", retry=MAKING_INVOICES, timeout=60)
def make_invoice(order_id: int) -> None:
    """Make the invoice of a paid order, once."""
    invoices.make(order_id)


@job(queue="default", retry=TAKING_STOCK, timeout=30)
def update_inventory(order_id: int) -> None:
    """Take the order's goods off the shelf."""
    inventory.take_stock(order_id)


@job(queue="external_apis", retry=NOTIFYING_WAREHOUSE, timeout=30)
def notify_warehouse(order_id: int) -> None:
    """Have the warehouse pack the order. An address it refuses buries the run, for an operator to look at."""
    fulfilment.notify_warehouse(order_id, on_invalid_address=alert_operators.enqueue)


@job(queue="mailers", retry=CONFIRMING, timeout=60)
def send_order_confirmation(order_id: int) -> None:
    """Tell the customer what was ordered, once."""
    correspondence.confirm_order(order_id)


@job(queue="mailers", timeout=60)
def send_shipping_notification(order_id: int) -> None:
    """Tell the customer that the parcel has left."""
    correspondence.announce_shipping(order_id)


@job(queue="mailers", timeout=60)
def send_payment_failed(payment_id: int) -> None:
    """Ask the customer for another card."""
    correspondence.report_declined_card(payment_id)


@job(queue="mailers", timeout=60)
def send_welcome_email(customer_id: int) -> None:
    """Greet a new customer."""
    correspondence.welcome(customer_id)


@job(queue="critical", retry=PROCESSING_EVENTS, timeout=30)
def process_webhook(event_pk: int) -> None:
    """Apply a stored event of the payment partner, once."""
    payment_events.process(event_pk, on_paid=make_invoice.enqueue, on_declined=send_payment_failed.enqueue)


@job(queue="low", retry=SUBSCRIBING, timeout=30, circuit=LIST_PROVIDER, limits=[FEW_AT_ONCE])
def subscribe(customer_id: int) -> None:
    """Put a customer who asked on the newsletter's list. A refused address is kept on the customer and ends the run."""
    newsletter.put_on_list(customer_id, on_listed=send_newsletter_welcome.enqueue)


@job(queue="low", retry=SUBSCRIBING, timeout=30, circuit=LIST_PROVIDER, limits=[FEW_AT_ONCE])
def unsubscribe(customer_id: int) -> None:
    """Take a customer who left off the newsletter's list."""
    newsletter.take_off_list(customer_id)


@job(queue="mailers", timeout=60)
def send_newsletter_welcome(customer_id: int) -> None:
    """Tell a new reader, and how to leave."""
    correspondence.welcome_reader(customer_id)


@job(queue="mailers", timeout=60)
def alert_operators(order_id: int, problem: str) -> None:
    """Tell the operators what a program cannot mend."""
    correspondence.alert_operators(order_id, problem)

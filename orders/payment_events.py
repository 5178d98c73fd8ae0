"""What an event of the payment partner means for a payment: applied once, and only when it is news."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from orders import charging, webhooks
from orders.charging import Tell
from orders.models import EventState, Payment, PaymentEvent
from orders.webhooks import Told

# What may be processed: what waits, what had no payment yet, and what a later release may know what to do with.
OPEN = (EventState.RECEIVED, EventState.UNMATCHED, EventState.IGNORED)


@dataclass(frozen=True)
class Tells:
    """Whom to tell that an order is paid, and that a payment was declined."""

    paid: Tell
    declined: Tell


class Contradiction(Exception):
    """The partner says what cannot be, by what we know. For a person to look at."""


@transaction.atomic
def process(event_pk: int, *, on_paid: Tell, on_declined: Tell) -> None:
    """Apply a stored event to its payment. One that was processed: nothing to do.

    The event's row is locked first, then the payment's: of two runs with one event one waits and finds it done,
    and two events of one payment are applied one after the other, whichever comes first. One with a lower sequence
    than what was applied changes nothing.
    """
    event = PaymentEvent.objects.select_for_update().filter(pk=event_pk, state__in=OPEN).first()
    if event is None:
        return
    event.state, event.note = _judge(webhooks.read(event.body), Tells(on_paid, on_declined))
    event.processed_at = timezone.now()
    event.save(update_fields=["state", "note", "processed_at"])


def _judge(told: Told, tell: Tells) -> tuple[EventState, str]:
    if told.kind not in KINDS:
        return EventState.IGNORED, ""
    payment = Payment.objects.select_for_update().filter(idempotency_key=told.payment).first()
    if payment is None:
        return EventState.UNMATCHED, ""
    if told.sequence <= payment.event_sequence:
        return EventState.OUTDATED, f"Event {payment.event_sequence} of the payment was applied before."
    try:
        KINDS[told.kind](payment, told, tell)
    except Contradiction as error:
        return EventState.CONTRADICTS, str(error)
    Payment.objects.filter(pk=payment.pk).update(event_sequence=told.sequence)
    return EventState.APPLIED, ""


def _created(payment: Payment, told: Told, tell: Tells) -> None:
    """Nothing: it is we who asked for it."""


def _succeeded(payment: Payment, told: Told, tell: Tells) -> None:
    if told.amount_cents != payment.amount_cents:
        raise Contradiction(f"{told.amount_cents} cents were charged, not {payment.amount_cents}.")
    if not charging.mark_paid(payment, told.charge, tell.paid) and payment.charge_id != told.charge:
        raise Contradiction(f"The payment is {payment.outcome}, under charge {payment.charge_id or 'none'}.")


def _failed(payment: Payment, told: Told, tell: Tells) -> None:
    if not charging.mark_declined(payment, told.reason, tell.declined) and payment.charge_id:
        raise Contradiction(f"The payment has succeeded, under charge {payment.charge_id}.")


def _refunded(payment: Payment, told: Told, tell: Tells) -> None:
    # The news that it was charged may come later than this, or never.
    charging.mark_paid(payment, told.charge, tell.paid)
    if not charging.mark_refunded(payment):
        raise Contradiction(f"The payment is {payment.outcome}: there is nothing to give back.")


KINDS: Mapping[str, Callable[[Payment, Told, Tells], None]] = {
    "payment.created": _created,
    "payment.succeeded": _succeeded,
    "payment.failed": _failed,
    "payment.refunded": _refunded,
}

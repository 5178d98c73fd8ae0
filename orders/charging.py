"""Getting an order paid, once. Knows nothing of HTTP: that is in `payments`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypedDict

from django.db import transaction
from django.utils import timezone

from orders import payments
from orders.models import Order, Payment, PaymentOutcome

Tell = Callable[[int], object]
# An hour before the gateway forgets the key, for its clock and ours may differ.
LOOK_UP_AFTER = payments.KEY_LIFE - timedelta(hours=1)


class PaymentNotNeeded(Exception):
    """Another card was offered for an order that is paid, or whose last card may still succeed."""


def open_payment(order: Order, card: str) -> Payment:
    """Start the next payment of an order. Its idempotency key is fixed here, so every retry uses the same one.

    A card is accepted when it is the first or the one before was declined, else `PaymentNotNeeded` is raised.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        earlier = list(order.payments.all())
        if any(payment.outcome != PaymentOutcome.DECLINED for payment in earlier):
            raise PaymentNotNeeded(f"Order {order.number} has a payment that is not declined: wait for its outcome.")
        number = len(earlier) + 1
        Order.objects.filter(pk=order.pk).update(payment_problem="")
        return Payment.objects.create(
            order=order,
            number=number,
            card=card,
            amount_cents=order.total_cents,
            idempotency_key=f"{order.reference}-payment-{number}",
        )


class Answer(TypedDict):
    """What came of an order's latest payment: its outcome, empty where there is none, and its id."""

    outcome: str
    payment: int | None


def _nobody(_id: int) -> None:
    """Nobody has to be told."""


def charge(order_id: int, *, on_paid: Tell = _nobody, on_declined: Tell = _nobody) -> Answer:
    """Charge the open payment of an order, and say what came of its latest. None open (paid, declined): nothing to do.

    That it is paid is told through `on_paid(order_id)` in the transaction that marks it. A declined card is an
    answer, not a failure: it is marked, told through `on_declined(payment_id)`, and not raised. Every other error of
    `payments` is.
    """
    payment = Payment.objects.select_related("order").filter(order=order_id, outcome=PaymentOutcome.OPEN).first()
    if payment is not None:
        _close(payment, on_paid, on_declined)
    # Read again: the gateway's event may have closed it first.
    latest = Payment.objects.filter(order=order_id).last()
    return Answer(outcome=latest.outcome, payment=latest.pk) if latest else Answer(outcome="", payment=None)


@transaction.atomic
def mark_paid(payment: Payment, charge_id: str, tell: Tell) -> bool:
    """Whether this call closed the payment, and told so through `tell(order_id)`.

    The gateway's answer and its event both say it, in any order.
    """
    now = timezone.now()
    if not _finish(payment, outcome=PaymentOutcome.SUCCEEDED, charge_id=charge_id, finished_at=now):
        return False
    Order.objects.filter(pk=payment.order_id).update(paid_at=now, payment_problem="")
    tell(payment.order_id)
    return True


@transaction.atomic
def mark_declined(payment: Payment, reason: str, tell: Tell) -> bool:
    """Whether this call closed the payment, and told so through `tell(payment_id)`."""
    problem = reason.replace("_", " ")
    if not _finish(payment, outcome=PaymentOutcome.DECLINED, problem=problem, finished_at=timezone.now()):
        return False
    Order.objects.filter(pk=payment.order_id).update(payment_problem=problem)
    tell(payment.pk)
    return True


@transaction.atomic
def mark_refunded(payment: Payment) -> bool:
    """Keep that the money was given back, once. False when there was none to give back."""
    now = timezone.now()
    paid = Payment.objects.filter(pk=payment.pk, outcome=PaymentOutcome.SUCCEEDED)
    if paid.filter(refunded_at__isnull=True).update(refunded_at=now):
        Order.objects.filter(pk=payment.order_id).update(refunded_at=now)
    return paid.exists()


def _close(payment: Payment, on_paid: Tell, on_declined: Tell) -> None:
    try:
        charge = _find_forgotten_charge(payment, timezone.now()) or _ask_gateway(payment)
    except payments.CardDeclined as error:
        mark_declined(payment, error.reason, on_declined)
        return
    mark_paid(payment, charge.id, on_paid)


def _find_forgotten_charge(payment: Payment, now: datetime) -> payments.Charge | None:
    """The charge an earlier attempt made, asked for when the gateway may no longer know the idempotency key."""
    if payment.first_tried_at is None or now - payment.first_tried_at < LOOK_UP_AFTER:
        return None
    return payments.find_charge(payment.order.reference)


def _ask_gateway(payment: Payment) -> payments.Charge:
    # Stored before the request leaves: after a crash the key must be known to have been used.
    Payment.objects.filter(pk=payment.pk, first_tried_at__isnull=True).update(first_tried_at=timezone.now())
    return payments.charge(
        reference=payment.order.reference,
        amount_cents=payment.amount_cents,
        card=payment.card,
        idempotency_key=payment.idempotency_key,
    )


def _finish(payment: Payment, **facts: object) -> bool:
    """Whether this call closed the payment: of two attempts that overlap, one does."""
    return bool(Payment.objects.filter(pk=payment.pk, outcome=PaymentOutcome.OPEN).update(**facts))

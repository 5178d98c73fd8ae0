"""Attempts to be paid."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from orders.models.orders import Order


class PaymentOutcome(models.TextChoices):
    """How a payment stands. An open one is not yet tried, or its outcome is not known."""

    OPEN = "open", "open"
    SUCCEEDED = "succeeded", "succeeded"
    DECLINED = "declined", "declined"


class Payment(models.Model):
    """One card tried for an order. Another card is another payment, with another idempotency key."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="payments")
    number = models.PositiveIntegerField(help_text="1 for the first card tried")
    card = models.CharField(max_length=64, help_text="The gateway's token, never a card's number")
    amount_cents = models.IntegerField()
    idempotency_key = models.CharField(max_length=100, unique=True)
    outcome = models.CharField(max_length=10, choices=PaymentOutcome.choices, default=PaymentOutcome.OPEN)
    charge_id = models.CharField(max_length=100, blank=True)
    problem = models.CharField(max_length=200, blank=True)
    first_tried_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    event_sequence = models.PositiveIntegerField(default=0, help_text="The latest of the gateway's events applied")
    refunded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["order", "number"]
        constraints = [
            models.UniqueConstraint(fields=["order", "number"], name="orders_payment_numbered_once"),
            models.UniqueConstraint(
                fields=["order"], condition=~Q(outcome="declined"), name="orders_payment_one_open_or_succeeded"
            ),
            models.CheckConstraint(
                condition=Q(outcome="succeeded", finished_at__isnull=False) & ~Q(charge_id="")
                | Q(outcome="declined", finished_at__isnull=False, charge_id="")
                | Q(outcome="open", finished_at__isnull=True, charge_id=""),
                name="orders_payment_facts_fit_outcome",
            ),
            models.CheckConstraint(
                condition=Q(refunded_at__isnull=True) | Q(outcome="succeeded"), name="orders_payment_refunded_was_paid"
            ),
        ]

    def __str__(self) -> str:
        return f"payment {self.number} of {self.order_id}"

"""What the payment partner told the shop by itself."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class EventState(models.TextChoices):
    """What became of an event. Only those that were received wait for something."""

    RECEIVED = "received", "received"
    APPLIED = "applied", "applied"
    OUTDATED = "outdated", "older than what was known"
    UNMATCHED = "unmatched", "of no payment that we know"
    CONTRADICTS = "contradicts", "contradicts what we know"
    IGNORED = "ignored", "of a kind that we do not use"
    MALFORMED = "malformed", "cannot be read"


class PaymentEvent(models.Model):
    """One event of the payment partner, as it came. It may arrive often, and is processed once."""

    event_id = models.CharField(
        "event", max_length=100, unique=True, help_text="The partner's id; of what cannot be read, a hash of its bytes"
    )
    kind = models.CharField(max_length=50, blank=True)
    payment_key = models.CharField("payment", max_length=100, blank=True, help_text="The payment's idempotency key")
    sequence = models.PositiveIntegerField(default=0, help_text="Which event of its payment it is, from 1")
    body = models.TextField()
    state = models.CharField(max_length=12, choices=EventState.choices, default=EventState.RECEIVED)
    note = models.CharField(max_length=200, blank=True)
    arrivals = models.PositiveIntegerField(default=1, help_text="How often it arrived")
    received_at = models.DateTimeField("received", default=timezone.now)
    last_arrived_at = models.DateTimeField("last arrived", default=timezone.now)
    processed_at = models.DateTimeField("processed", null=True)

    class Meta:
        ordering = ["-received_at"]
        indexes = [
            models.Index(fields=["-received_at"], name="orders_event_received"),
            models.Index(fields=["payment_key"], name="orders_event_payment"),
        ]

    def __str__(self) -> str:
        return self.event_id

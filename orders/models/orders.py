"""Orders, what is in them and which runs they asked for."""

from __future__ import annotations

import secrets
import uuid

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from orders.models.catalogue import Product
from orders.models.customers import Customer

# Without 0, 1, I, L, O and U, which are misread or make words.
NUMBER_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_number() -> str:
    """A number that cannot be guessed (39 bits), for it opens the order's page."""
    letters = "".join(secrets.choice(NUMBER_ALPHABET) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


class Country(models.TextChoices):
    """Where the shop sends parcels."""

    DE = "DE", "Germany"
    AT = "AT", "Austria"
    CH = "CH", "Switzerland"
    FR = "FR", "France"
    NL = "NL", "Netherlands"


class Order(models.Model):
    """One purchase.

    It has no status: each step leaves a timestamp or a problem of its own, because the steps run side by
    side and in any order. Write them with conditional updates, never by saving the whole row.
    """

    number = models.CharField(max_length=9, unique=True, default=new_number, editable=False)
    checkout_key = models.UUIDField(
        unique=True, default=uuid.uuid4, editable=False, help_text="One per filled basket: sent twice, ordered once"
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="orders")
    total_cents = models.IntegerField("total in cents")

    recipient = models.CharField(max_length=100)
    street = models.CharField(max_length=200)
    postcode = models.CharField(max_length=12)
    city = models.CharField(max_length=100)
    country = models.CharField(max_length=2, choices=Country.choices, default=Country.DE)

    placed_at = models.DateTimeField("placed", default=timezone.now)
    processing_started_at = models.DateTimeField("processing started", null=True)
    paid_at = models.DateTimeField("paid", null=True)
    refunded_at = models.DateTimeField("refunded", null=True)
    stocked_at = models.DateTimeField("stock taken", null=True)
    warehouse_notified_at = models.DateTimeField("warehouse notified", null=True)
    confirmation_sent_at = models.DateTimeField("confirmation sent", null=True)
    shipped_at = models.DateTimeField("shipped", null=True)
    shipping_notified_at = models.DateTimeField("shipping notification sent", null=True)

    payment_problem = models.CharField(max_length=200, blank=True)
    shipping_problem = models.CharField(max_length=200, blank=True)
    shortage = models.CharField(max_length=500, blank=True, help_text="What was missing when stock was taken")

    class Meta:
        ordering = ["-placed_at"]
        permissions = [
            ("ship_order", "Can hand orders to the carrier"),
            ("break_partner", "Can break and heal the demo's partners and empty the mailbox"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(total_cents__gt=0), name="orders_order_total_positive"),
            models.CheckConstraint(
                condition=Q(shipped_at__isnull=True)
                | Q(
                    paid_at__isnull=False,
                    stocked_at__isnull=False,
                    warehouse_notified_at__isnull=False,
                ),
                name="orders_order_shipped_only_when_ready",
            ),
        ]
        indexes = [models.Index(fields=["-placed_at"], name="orders_order_placed")]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return reverse("order", args=[self.number])

    @property
    def reference(self) -> str:
        """What partners know this order by."""
        return f"order-{self.number}"

    @property
    def address(self) -> dict[str, str]:
        """The address as the warehouse wants it."""
        return {
            "name": self.recipient,
            "street": self.street,
            "postcode": self.postcode,
            "city": self.city,
            "country": self.country,
        }

    @property
    def is_ready_to_ship(self) -> bool:
        is_ready = self.paid_at and self.stocked_at and self.warehouse_notified_at
        return bool(is_ready and self.shipped_at is None and self.refunded_at is None)


class OrderLine(models.Model):
    """So many of one product, at the price of that day."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    quantity = models.IntegerField()
    unit_price_cents = models.IntegerField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["order", "product"], name="orders_line_once_per_product"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="orders_line_quantity_positive"),
            models.CheckConstraint(condition=Q(unit_price_cents__gt=0), name="orders_line_price_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} of {self.product}"

    @property
    def total_cents(self) -> int:
        return self.quantity * self.unit_price_cents

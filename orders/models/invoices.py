"""Invoices, and where their numbers come from."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from orders.models.orders import Order


class InvoiceCounter(models.Model):
    """How many invoices a year has. Its row is locked while a number is given."""

    year = models.PositiveIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.last} in {self.year}"


class Invoice(models.Model):
    """One order's invoice. Its number comes first, its file follows; neither ever changes."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="invoice")
    year = models.PositiveIntegerField()
    position = models.PositiveIntegerField(help_text="1 for the first invoice of the year")
    numbered_at = models.DateTimeField("date", default=timezone.now)
    file = models.FileField(upload_to="invoices", blank=True, help_text="Empty until it is made")

    class Meta:
        ordering = ["-year", "-position"]
        constraints = [
            models.UniqueConstraint(fields=["year", "position"], name="orders_invoice_numbered_once"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        return f"JS-{self.year}-{self.position:05d}" if self.position else ""

"""What the warehouse accepted."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from orders.models.orders import Order


class Shipment(models.Model):
    """One parcel the warehouse packs."""

    order = models.OneToOneField(Order, on_delete=models.CASCADE, related_name="shipment")
    warehouse_id = models.CharField("warehouse's id", max_length=100, unique=True)
    accepted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-accepted_at"]

    def __str__(self) -> str:
        return self.warehouse_id

"""Orders that stood still."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from orders.models.orders import Order


class Stall(models.Model):
    """One step of an order that nobody was at any more, as the monitor found it.

    `is_asked_again` is false when that had been done often enough: then the operators were told.
    """

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="stalls")
    step = models.CharField(max_length=30)
    found_at = models.DateTimeField("found", default=timezone.now)
    is_asked_again = models.BooleanField("asked for again")

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.order}: {self.step}"

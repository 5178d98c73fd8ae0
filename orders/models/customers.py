"""Who buys."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Customer(models.Model):
    """One buyer, known by an e-mail address that is stored in lower case."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField("since", default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

"""What is for sale."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Product(models.Model):
    """One thing for sale. Only `inventory` and the admin's restock action change `stock`."""

    sku = models.CharField("SKU", max_length=20, unique=True)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    tagline = models.CharField(max_length=120)
    description = models.TextField()
    price_cents = models.IntegerField("price in cents")
    stock = models.IntegerField(default=0)
    picture = models.CharField(max_length=100, help_text="Path of a static file")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(stock__gte=0), name="orders_product_stock_not_negative"),
            models.CheckConstraint(condition=Q(price_cents__gt=0), name="orders_product_price_positive"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_sold_out(self) -> bool:
        return self.stock == 0

    @property
    def is_scarce(self) -> bool:
        return 0 < self.stock <= 5

"""Exports of orders, and the parts that they are put together from."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Export(models.Model):
    """The orders of some days as one CSV file. `total` and `slices` are known once it was cut into slices.

    `file` is empty until all parts are there, and again when it was thrown away.
    """

    first_day = models.DateField()
    last_day = models.DateField()
    asked_by = models.CharField(max_length=150)
    email = models.EmailField()
    asked_at = models.DateTimeField("asked for", default=timezone.now)
    total = models.PositiveIntegerField("rows", null=True)
    slices = models.PositiveIntegerField(default=0)
    file = models.FileField(upload_to="exports", blank=True)
    built_at = models.DateTimeField("built", null=True)
    thrown_away_at = models.DateTimeField("thrown away", null=True)
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-pk"]
        permissions = [("export_orders", "Can export orders with their customers")]
        constraints = [
            models.CheckConstraint(condition=Q(first_day__lte=F("last_day")), name="orders_export_days_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.first_day} to {self.last_day}"


class ExportPart(models.Model):
    """The lines of one slice. Whoever writes it second finds it there."""

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts")
    position = models.PositiveIntegerField()
    rows = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["export", "position"], name="orders_part_once"),
        ]

    def __str__(self) -> str:
        return f"part {self.position} of export {self.export_id}"

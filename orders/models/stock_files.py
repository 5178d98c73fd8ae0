"""Files of goods that came, and the lines of them that make no sense."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class StockFile(models.Model):
    """A file of goods to put on the shelf. `position` and the counts change in the transaction that changes the stock:
    what stands before `position` was taken in, and nothing behind it.
    """

    file = models.FileField(upload_to="stock", blank=True, help_text="Empty when it was thrown away")
    name = models.CharField(max_length=150)
    uploaded_by = models.CharField(max_length=150)
    uploaded_at = models.DateTimeField("uploaded", default=timezone.now)
    size = models.BigIntegerField("bytes")
    position = models.BigIntegerField("bytes taken in", default=0)
    lines = models.PositiveIntegerField(default=0)
    good = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField(default=0)
    pieces = models.BigIntegerField(default=0, help_text="How many of all goods together came on the shelf")
    finished_at = models.DateTimeField("finished", null=True)

    class Meta:
        ordering = ["-pk"]
        permissions = [("import_stock", "Can take stock files in")]

    def __str__(self) -> str:
        return self.name


class BadLine(models.Model):
    """A line that was passed by, and why."""

    stock_file = models.ForeignKey(StockFile, on_delete=models.CASCADE, related_name="bad_lines")
    number = models.PositiveIntegerField()
    text = models.CharField(max_length=200)
    problem = models.CharField(max_length=200)

    class Meta:
        ordering = ["number"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["stock_file", "number"], name="orders_bad_line_once"),
        ]

    def __str__(self) -> str:
        return f"line {self.number}: {self.problem}"

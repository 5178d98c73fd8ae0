"""Reports of what was sold."""

from __future__ import annotations

from django.db import models


class ReportKind(models.TextChoices):
    """How long a time a report is about."""

    DAILY = "daily", "day"
    MONTHLY = "monthly", "month"


class Report(models.Model):
    """What was sold in a day or a month. Made again, it says what is true by then."""

    kind = models.CharField(max_length=10, choices=ReportKind.choices)
    period = models.CharField(max_length=10, help_text="2026-05-17 or 2026-05")
    figures = models.JSONField()
    made_at = models.DateTimeField("made")

    class Meta:
        ordering = ["-period", "kind"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "period"], name="orders_report_once"),
        ]

    def __str__(self) -> str:
        return self.period

"""Burials."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from jobs.models.causes import FailureCause
from jobs.models.runs import JobRun


class DeathReason(models.TextChoices):
    """Why a run was buried."""

    EXHAUSTED = "exhausted", _("attempts used up")
    PERMANENT = "permanent", _("permanent error")
    KILLED_WORKER = "killed_worker", _("killed its worker")
    UNKNOWN_JOB = "unknown_job", _("unknown job")
    BAD_ARGUMENTS = "bad_arguments", _("bad arguments")
    DEADLINE = "deadline", _("out of time")
    EXPIRED = "expired", _("expired")
    CLEARED = "cleared", _("cleared")


class Resolution(models.TextChoices):
    """What became of a dead job."""

    REQUEUED = "requeued", _("requeued")
    DISCARDED = "discarded", _("discarded")


class DeadJob(models.Model):
    """One burial. A run that dies twice has two; `resolution` is empty while it waits for a person."""

    run = models.ForeignKey(JobRun, on_delete=models.CASCADE, related_name="burials")
    life = models.PositiveIntegerField()
    name = models.CharField(_("job"), max_length=200)
    queue = models.CharField(_("queue"), max_length=100)
    reason = models.CharField(_("reason"), max_length=20, choices=DeathReason.choices)
    error_class = models.CharField(_("error"), max_length=200, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    died_at = models.DateTimeField(_("died"))
    # Only the open ones are looked for by their cause, and those have an index of their own.
    cause = models.ForeignKey(
        FailureCause, on_delete=models.SET_NULL, null=True, related_name="burials", db_index=False
    )

    resolution = models.CharField(max_length=10, choices=Resolution.choices, blank=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, blank=True)
    note = models.CharField(max_length=500, blank=True)
    # The bulk action that resolved it; its index serves the look at the latest of them.
    bulk = models.ForeignKey("jobs.BulkAction", on_delete=models.SET_NULL, null=True, db_index=False, related_name="+")

    class Meta:
        verbose_name = _("dead job")
        verbose_name_plural = _("dead jobs")
        ordering = ["-id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["run", "life"], name="jobs_dead_once_a_life"),
            models.CheckConstraint(
                condition=Q(resolution="", resolved_at__isnull=True)
                | Q(resolution__in=Resolution.values, resolved_at__isnull=False),
                name="jobs_dead_resolved_at_iff_resolved",
            ),
        ]
        indexes = [
            models.Index(fields=["-id"], name="jobs_dead_open", condition=Q(resolution="")),
            models.Index(fields=["name", "-id"], name="jobs_dead_open_name", condition=Q(resolution="")),
            models.Index(fields=["cause", "-id"], name="jobs_dead_open_cause", condition=Q(resolution="")),
            models.Index(fields=["died_at"], name="jobs_dead_died"),
            models.Index(fields=["bulk", "-id"], name="jobs_dead_bulk", condition=Q(bulk__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.run_id} ({self.get_reason_display()})"


def narrowed(rows: QuerySet[DeadJob], *, error: str | None = None, **columns: Any) -> QuerySet[DeadJob]:
    """Those of the rows that have these values, where one is given, and this text in the error's class or message."""
    rows = rows.filter(**{column: value for column, value in columns.items() if value is not None})
    if error is None:
        return rows
    return rows.filter(Q(error_class__icontains=error) | Q(error_message__icontains=error))

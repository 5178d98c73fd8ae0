"""Queues: which are paused, and how long they were."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class QueuePause(models.Model):
    """One pause of a queue: nothing of it starts until somebody resumes it, or its end has come.

    The row is the truth, and `jobs:paused` in Redis the copy that claims read.
    """

    queue = models.CharField(_("queue"), max_length=100)
    reason = models.CharField(_("reason"), max_length=500)
    actor = models.CharField(_("paused by"), max_length=200)
    paused_at = models.DateTimeField(_("paused"))
    until = models.DateTimeField(_("until"), null=True, help_text="When it ends by itself; null: never")
    resumed_at = models.DateTimeField(_("resumed"), null=True)
    resumed_by = models.CharField(_("resumed by"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        ordering = ["-id"]
        default_permissions = ()
        permissions = [
            ("pause_queue", "Can pause and resume queues"),
            ("clear_queue", "Can discard all that waits in a queue"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["queue"], name="jobs_pause_once_a_time", condition=Q(resumed_at__isnull=True)
            ),
        ]
        indexes = [models.Index(fields=["queue", "-id"], name="jobs_pause_queue")]

    def __str__(self) -> str:
        return f"pause of {self.queue}"


class QueueSample(models.Model):
    """How long a queue was in one minute (UTC): `depth` runs waited, the oldest of them for `wait_ms`."""

    queue = models.CharField(max_length=100)
    minute = models.DateTimeField(help_text="When it begins")
    depth = models.PositiveIntegerField()
    wait_ms = models.PositiveBigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["queue", "minute"], name="jobs_sample_once")]
        indexes = [models.Index(fields=["minute"], name="jobs_sample_minute")]

    def __str__(self) -> str:
        return f"{self.queue} at {self.minute:%Y-%m-%d %H:%M}"

"""Fuses."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class FuseAction(models.TextChoices):
    """What becomes of a run that a fuse catches."""

    HOLD = "hold", _("hold")
    SLOW = "slow", _("slow")
    DISCARD = "discard", _("discard")


class Fuse(models.Model):
    """One fuse: what keeps the runs of one job from starting, until it is lifted or expires.

    The row is the truth, and `jobs:fuses` in Redis the copy that claims read. `where` names arguments and the values
    that they must have, empty for all runs. `released_at` is when the last run that it had caught was out of its
    lanes; until then Redis is told of it.
    """

    name = models.CharField(_("job"), max_length=200)
    where = models.JSONField(_("where"), default=dict)
    where_key = models.CharField(max_length=64, help_text="Equal for equal conditions")
    conditions = models.JSONField(default=list, help_text="What is asked of a run's arguments, as policy.fusing has it")
    action = models.CharField(_("action"), max_length=10, choices=FuseAction.choices)
    rate = models.CharField(_("rate"), max_length=20, blank=True, help_text="Of one that slows, such as 5/s")
    reason = models.CharField(_("reason"), max_length=500)
    actor = models.CharField(_("added by"), max_length=200)
    by_rule = models.BooleanField(_("by itself"), default=False)
    created_at = models.DateTimeField(_("added"))
    expires_at = models.DateTimeField(_("expires"))
    ended_at = models.DateTimeField(_("ended"), null=True)
    ended_by = models.CharField(_("ended by"), max_length=200, blank=True)
    released_at = models.DateTimeField(_("released"), null=True)

    class Meta:
        verbose_name = _("fuse")
        verbose_name_plural = _("fuses")
        ordering = ["-id"]
        default_permissions = ()
        permissions = [("manage_fuses", "Can hold, slow or discard a job by a fuse")]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "where_key"], name="jobs_fuse_once_a_time", condition=Q(ended_at__isnull=True)
            ),
            models.CheckConstraint(condition=Q(action__in=FuseAction.values), name="jobs_fuse_action_known"),
            models.CheckConstraint(
                condition=Q(released_at__isnull=True) | Q(ended_at__isnull=False), name="jobs_fuse_released_when_ended"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="jobs_fuse_unreleased", condition=Q(released_at__isnull=True)),
            models.Index(fields=["name", "-id"], name="jobs_fuse_name"),
        ]

    def __str__(self) -> str:
        return f"fuse {self.pk} ({self.action} {self.name})"

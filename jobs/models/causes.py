"""Causes of failures."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class CauseState(models.TextChoices):
    """What people have said of a cause. The first two want somebody's eyes."""

    NEW = "new", _("new")
    REGRESSED = "regressed", _("regressed")
    SNOOZED = "snoozed", _("snoozed")
    IGNORED = "ignored", _("ignored")
    RESOLVED = "resolved", _("resolved")


OPEN_CAUSES = (CauseState.NEW, CauseState.REGRESSED)


class FailureCause(models.Model):
    """One fingerprint of failures: the same job, error, place in the project's code, and message but for its values.

    `hours` has the failures of each of the latest hours, by the hour's number since 1970.
    `removed` counts dead jobs of this cause that retention deleted while nobody had resolved them.
    """

    fingerprint = models.CharField(max_length=32, unique=True)
    name = models.CharField(_("job"), max_length=200)
    error_class = models.CharField(_("error"), max_length=200, help_text="or how the attempt ended")
    message = models.CharField(_("message"), max_length=300, blank=True, help_text="Without what differs each time")
    frames = models.JSONField(default=list, help_text="Where in the project's code, the innermost last")
    sample = models.CharField(max_length=500, blank=True, help_text="The message as it was last")

    count = models.PositiveBigIntegerField(_("failures"), default=0)
    hours = models.JSONField(default=dict)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    first_release = models.CharField(_("first release"), max_length=100, blank=True)
    last_release = models.CharField(_("last release"), max_length=100, blank=True)
    last_run = models.UUIDField(null=True, help_text="A run that failed so last; it may be removed by now")

    state = models.CharField(_("state"), max_length=10, choices=CauseState.choices, default=CauseState.NEW)
    decided_at = models.DateTimeField(null=True, help_text="When a person last chose the state")
    decided_by = models.CharField(max_length=200, blank=True)
    snoozed_until = models.DateTimeField(null=True)
    regressed_in = models.CharField(max_length=100, blank=True, help_text="The release in which it came back")
    note = models.CharField(_("note"), max_length=500, blank=True)
    removed = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("failure cause")
        verbose_name_plural = _("failures")
        ordering = ["-last_seen_at", "-id"]
        default_permissions = ()
        permissions = [("manage_failures", "Can snooze, ignore and resolve failures")]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=CauseState.values), name="jobs_cause_state_known"),
            models.CheckConstraint(
                condition=Q(state="snoozed", snoozed_until__isnull=False)
                | (~Q(state="snoozed") & Q(snoozed_until__isnull=True)),
                name="jobs_cause_snoozed_until_iff_snoozed",
            ),
        ]
        indexes = [
            models.Index(fields=["-last_seen_at", "-id"], name="jobs_cause_seen"),
            models.Index(fields=["name", "-last_seen_at"], name="jobs_cause_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.error_class}"

    @property
    def is_open(self) -> bool:
        """Whether it wants somebody's eyes: also when it was snoozed until a time that has passed."""
        over = self.state == CauseState.SNOOZED and self.snoozed_until is not None
        return self.state in OPEN_CAUSES or (over and self.snoozed_until <= timezone.now())  # type: ignore[operator]

"""Bulk actions: one thing done with many."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class BulkVerb(models.TextChoices):
    """What is done with each."""

    REQUEUE = "requeue", _("retry")
    DISCARD = "discard", _("discard")
    CANCEL = "cancel", _("cancel")
    RUN_NOW = "run_now", _("run now")
    UNDO = "undo", _("undo discard")
    CLEAR = "clear", _("clear a queue")


class BulkState(models.TextChoices):
    """Where a bulk action is. The first three go on by themselves."""

    ASKED = "asked", _("asked")
    CANARY = "canary", _("canary")
    RAMPING = "ramping", _("ramping")
    PAUSED = "paused", _("paused")
    STOPPED = "stopped", _("stopped")
    FINISHED = "finished", _("finished")


OPEN_STATES = (BulkState.ASKED, BulkState.CANARY, BulkState.RAMPING)
RESUMABLE_STATES = (BulkState.PAUSED, BulkState.STOPPED)


class BulkAction(models.Model):
    """One verb on all that a filter matched when it was asked for.

    `selection` is that filter, and `up_to` the newest row then: what comes later stays out. `cursor` is the last row
    that was looked at; it moves in the transaction that does what is before it.
    `step` and `left_in_step` say where the ramp is; `tokens` and `released_at` how many the rate allows.
    """

    verb = models.CharField(_("action"), max_length=10, choices=BulkVerb.choices)
    key = models.CharField(max_length=64, unique=True, help_text="Of the question: asked again, it is the same action")
    state = models.CharField(_("state"), max_length=10, choices=BulkState.choices, default=BulkState.ASKED)
    why = models.CharField(_("why"), max_length=500, blank=True, help_text="Why it is in this state")

    selection = models.JSONField(_("filter"), default=dict)
    up_to = models.CharField(max_length=40)
    total = models.PositiveIntegerField(_("total"), help_text="How many matched, up to the limit")

    canary = models.PositiveIntegerField(_("canary"), default=0)
    rate = models.FloatField(_("rate"), null=True, help_text="How many a second; null: as fast as it goes")
    max_failures = models.FloatField(default=0.2, help_text="The share of failures above which it stops")
    max_wait = models.FloatField(null=True, help_text="Seconds a queue may have waited, or it stops")

    round = models.PositiveIntegerField(default=0, help_text="Goes up when it is resumed: an earlier run of it ends")
    cursor = models.CharField(max_length=40, blank=True)
    watched_from = models.CharField(max_length=40, blank=True, help_text="The cohort that is judged begins after it")
    step = models.PositiveIntegerField(default=0)
    left_in_step = models.PositiveIntegerField(default=0)
    tokens = models.FloatField(default=0.0)
    released_at = models.DateTimeField(null=True)

    done = models.PositiveIntegerField(_("done"), default=0)
    left = models.JSONField(_("left alone"), default=dict, help_text="Counts by reason")

    rule = models.ForeignKey(
        "jobs.RecoveryRule", on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("rule")
    )
    actor = models.CharField(_("who"), max_length=200)
    address = models.CharField(max_length=100, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True)
    touched_at = models.DateTimeField(null=True, help_text="When it was last looked at")
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("bulk action")
        verbose_name_plural = _("bulk actions")
        ordering = ["-id"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["id"], name="jobs_bulk_open", condition=models.Q(state__in=[*OPEN_STATES])),
        ]

    def __str__(self) -> str:
        return f"bulk action {self.pk}: {self.get_verb_display()}"

    @property
    def looked(self) -> int:
        """How many were done or left alone."""
        return self.done + sum(self.left.values())

    @property
    def is_open(self) -> bool:
        """Whether it goes on by itself."""
        return self.state in OPEN_STATES

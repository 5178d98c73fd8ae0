"""Batches: runs that belong together, counted."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class BatchState(models.TextChoices):
    """Where a batch is. What has ended goes back to running when one of its dead is retried."""

    FILLING = "filling", _("being filled")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


OPEN_BATCH_STATES = (BatchState.FILLING, BatchState.RUNNING)


class Batch(models.Model):
    """Runs that belong together: how many there are, and how many of them have come to which end.

    The four ends change in the transaction that changes a member's row. `total` is what of its slices has been folded
    in: those that the process which adds them has just written may be missing. `sealed_at` is when no more were to
    come but from members, `cancelled_at` when the rest was taken back, of which some may run on. `ripe` says that
    something may follow; `batches.follow` looks, and takes it away. `workflow` is the one whose step it is: lists of
    batches leave such ones out.
    """

    name = models.CharField(_("name"), max_length=200)
    key = models.CharField(
        max_length=200, unique=True, null=True, help_text="Asked for again with this key, it is the same batch"
    )
    within = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, related_name="nested", verbose_name=_("within")
    )
    workflow = models.ForeignKey(
        "jobs.Workflow", on_delete=models.CASCADE, null=True, related_name="batches", verbose_name=_("workflow")
    )
    state = models.CharField(_("state"), max_length=10, choices=BatchState.choices, default=BatchState.FILLING)

    total = models.IntegerField(_("total"), default=0)
    succeeded = models.IntegerField(_("succeeded"), default=0)
    dead = models.IntegerField(_("dead"), default=0)
    discarded = models.IntegerField(_("discarded"), default=0)
    cancelled = models.IntegerField(_("cancelled"), default=0)

    # Each the JSON of a `Prepared`, and when it was enqueued.
    on_success = models.JSONField(null=True)
    on_complete = models.JSONField(null=True)
    on_death = models.JSONField(null=True)
    success_told_at = models.DateTimeField(null=True)
    complete_told_at = models.DateTimeField(null=True)
    death_told_at = models.DateTimeField(null=True)

    ripe = models.BooleanField(default=False)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True)
    why = models.CharField(_("why"), max_length=500, blank=True, db_default="", help_text="Why it was cancelled")
    trouble = models.CharField(max_length=500, blank=True, help_text="Why what should follow has not yet")

    parent = models.UUIDField(_("made by run"), null=True)
    correlation = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    sealed_at = models.DateTimeField(_("filled"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        ordering = ["-id"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["id"], name="jobs_batch_ripe", condition=Q(ripe=True)),
            # Lists leave out the batches of workflows' steps, of which there may be many more.
            models.Index(fields=["-id"], name="jobs_batch_own", condition=Q(workflow__isnull=True)),
            models.Index(fields=["state", "-id"], name="jobs_batch_own_state", condition=Q(workflow__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk}: {self.name}"

    @property
    def ended(self) -> int:
        """How many members have come to an end."""
        return self.succeeded + self.dead + self.discarded + self.cancelled

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN_BATCH_STATES


class BatchSlice(models.Model):
    """So many members that were added to a batch, written in their transaction.

    Whoever adds members does not touch the batch's row: its lock would hold up what is recorded meanwhile. `key` says
    which slice it is, so that none is added twice; its members are in the rows that are written with it. `due_at` is
    when they may start, where that is later.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="slices")
    key = models.CharField(max_length=200, null=True)
    members = models.PositiveIntegerField()
    due_at = models.DateTimeField(null=True)
    folded = models.BooleanField(default=False, help_text="Whether the batch's total has it")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("slice of a batch")
        verbose_name_plural = _("slices of batches")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["batch", "key"], name="jobs_slice_once", condition=Q(key__isnull=False)),
        ]
        indexes = [
            models.Index(fields=["batch"], name="jobs_slice_unfolded", condition=Q(folded=False)),
        ]

    def __str__(self) -> str:
        return f"{self.members} of batch {self.batch_id}"

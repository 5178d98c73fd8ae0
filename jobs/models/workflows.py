"""Workflows: steps with an order between them, each of them a batch of its runs."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class WorkflowState(models.TextChoices):
    """Where a workflow is. What has ended goes back to running when a step of it is done again."""

    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class StepState(models.TextChoices):
    """Where a step is. A blocked one does not begin because of a failure, a skipped one because it is not needed."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")
    SKIPPED = "skipped", _("skipped")
    BLOCKED = "blocked", _("blocked")
    CANCELLED = "cancelled", _("cancelled")


class Decided(models.TextChoices):
    """What was decided of a step that is not to be read from its batch."""

    PASSED = "passed", _("skipped by hand")
    UNMET = "unmet", _("its condition does not hold")
    REFUSED = "refused", _("it could not begin")


class Workflow(models.Model):
    """A graph of steps on its way.

    `ripe_at` is from when something may follow; `workflows.follow` looks, and takes it away. `trouble` is why something
    that should follow has not, and `troubles` how often it was tried. `stalls_at` is when it counts as stalled unless
    something moves before; `stalled_at` when it was found so, until it moves.
    """

    name = models.CharField(_("name"), max_length=200)
    key = models.CharField(
        max_length=200, unique=True, null=True, help_text="Started again with this key, it is the same workflow"
    )
    state = models.CharField(_("state"), max_length=10, choices=WorkflowState.choices, default=WorkflowState.RUNNING)

    # Each the JSON of a `Prepared`, and when it was enqueued.
    on_success = models.JSONField(null=True)
    on_failure = models.JSONField(null=True)
    on_complete = models.JSONField(null=True)
    on_stall = models.JSONField(null=True)
    success_told_at = models.DateTimeField(null=True)
    failure_told_at = models.DateTimeField(null=True)
    complete_told_at = models.DateTimeField(null=True)

    ripe_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=500, blank=True, help_text="Why what should follow has not yet")
    troubles = models.PositiveIntegerField(default=0)

    stalls_after = models.FloatField(default=3600.0, help_text="Seconds")
    stalls_at = models.DateTimeField(null=True)
    stalled_at = models.DateTimeField(_("stalled since"), null=True)
    stalls = models.PositiveIntegerField(_("stalls"), default=0, help_text="How often it was found stalled")

    parent = models.UUIDField(_("made by run"), null=True)
    correlation = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(_("started"), auto_now_add=True)
    moved_at = models.DateTimeField(_("moved"), null=True, help_text="When a step of it last changed its state")
    cancelled_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    # Whether `Flow.start` made it, or found it by its key.
    created = True

    class Meta:
        verbose_name = _("workflow")
        verbose_name_plural = _("workflows")
        ordering = ["-id"]
        default_permissions = ()
        permissions = [("manage_workflow", "Can retry and skip steps of workflows, and cancel and resume them")]
        indexes = [
            models.Index(fields=["ripe_at"], name="jobs_workflow_ripe", condition=Q(ripe_at__isnull=False)),
            models.Index(fields=["stalls_at"], name="jobs_workflow_stalls", condition=Q(state="running")),
            models.Index(fields=["state", "-id"], name="jobs_workflow_state"),
            models.Index(fields=["ended_at"], name="jobs_workflow_ended", condition=Q(ended_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"workflow {self.pk}: {self.name}"


class WorkflowStep(models.Model):
    """One step: a call of a job, what it comes after, and the batch of its runs once it has begun.

    `after` is a list of [step, "success" | "failure" | "end"], of which `needs` wants all or any. `call` is the JSON of
    a `Prepared` with references to results in it, `each` what to fan out over, `when` a list of conditions.
    `place` is an order in which each step stands behind those that it comes after. `rounds` counts how often it began.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(_("step"), max_length=100)
    place = models.PositiveIntegerField()

    call = models.JSONField()
    each = models.JSONField(null=True)
    after = models.JSONField(default=list)
    needs = models.CharField(max_length=3, choices=[("all", _("all")), ("any", _("any"))], default="all")
    when = models.JSONField(default=list)

    state = models.CharField(_("state"), max_length=10, choices=StepState.choices, default=StepState.WAITING)
    decided = models.CharField(max_length=10, choices=Decided.choices, blank=True)
    why = models.CharField(_("why"), max_length=500, blank=True, help_text="Why it is in this state")
    batch = models.OneToOneField(
        "jobs.Batch", on_delete=models.SET_NULL, null=True, related_name="step", verbose_name=_("batch")
    )
    size = models.PositiveIntegerField(_("runs"), default=0, help_text="How many runs it asked for")
    run = models.UUIDField(_("run"), null=True, help_text="The first of them; the ids of the others count up from it")
    rounds = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["workflow", "place"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["workflow", "name"], name="jobs_workflow_step_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of workflow {self.workflow_id}"

    def run_ids(self) -> list[uuid.UUID]:
        """The ids of the runs that it asked for, in the order of its items."""
        return [] if self.run is None else [uuid.UUID(int=self.run.int + place) for place in range(self.size)]

    @property
    def job(self) -> str:
        """The name of its job."""
        return str(self.call["job"])

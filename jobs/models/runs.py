"""Runs and their attempts."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class RunState(models.TextChoices):
    """Where a run is in its life. The first four are pending, the last four are ends."""

    SCHEDULED = "scheduled", _("scheduled")
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    RETRYING = "retrying", _("retrying")
    SUCCEEDED = "succeeded", _("succeeded")
    DEAD = "dead", _("dead")
    DISCARDED = "discarded", _("discarded")
    CANCELLED = "cancelled", _("cancelled")


PENDING_STATES = (RunState.SCHEDULED, RunState.QUEUED, RunState.RUNNING, RunState.RETRYING)
ENDED_STATES = (RunState.SUCCEEDED, RunState.DEAD, RunState.DISCARDED, RunState.CANCELLED)


class JobRun(models.Model):
    """One job from enqueue to end.

    `id` is a UUID version 7, so ids sort by the time of asking. `rq_id` is the id of RQ's message:
    equal to `id` for our runs, anything for foreign ones.
    `life` counts revivals from 0; what the journal says of an earlier life is stale.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    rq_id = models.CharField(max_length=200, db_index=True)
    name = models.CharField(_("job"), max_length=200)
    queue = models.CharField(_("queue"), max_length=100)
    state = models.CharField(_("state"), max_length=10, choices=RunState.choices)
    life = models.PositiveIntegerField(default=0)

    payload = models.JSONField(help_text="[positional, by name], as the worker gets them: never shown or searched")
    arguments = models.JSONField(_("arguments"), help_text="By parameter name, secrets masked")
    options = models.JSONField(
        default=dict, help_text="What holds for this run alone: what `using()` changed, and its trace"
    )

    unique_key = models.CharField(max_length=64, null=True, help_text="Equal for runs of which one may be pending")

    attempts = models.PositiveIntegerField(_("attempts"), default=0, help_text="Attempts begun in this life")
    max_attempts = models.PositiveIntegerField(_("of"))
    crashes = models.PositiveIntegerField(default=0)

    created_at = models.DateTimeField(_("asked"))
    due_at = models.DateTimeField(_("due"), null=True, help_text="Not before this time")
    pushed_at = models.DateTimeField(_("pushed"), null=True, help_text="Given to Redis; null: the relay's work")
    started_at = models.DateTimeField(_("started"), null=True, help_text="Start of the latest attempt")
    ended_at = models.DateTimeField(_("ended"), null=True)
    wait_ms = models.PositiveIntegerField(_("waited"), null=True, help_text="From due to the latest start")
    run_ms = models.PositiveIntegerField(_("took"), null=True, help_text="Length of the latest attempt")

    worker = models.CharField(_("worker"), max_length=200, blank=True)
    release = models.CharField(_("release"), max_length=100, blank=True)
    parent = models.UUIDField(_("enqueued by run"), null=True)
    correlation = models.CharField(max_length=100, blank=True, help_text="The request or run it all began with")
    subject = models.CharField(
        _("about"), max_length=200, null=True, help_text='The object that it is about, as "shop.order:17"'
    )

    # No constraint: adding members would lock the batch's row, and a batch may be pruned before them.
    batch = models.ForeignKey(
        "jobs.Batch",
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="members",
        verbose_name=_("batch"),
    )

    result = models.JSONField(_("result"), null=True)
    error_class = models.CharField(_("error"), max_length=200, blank=True)
    error_message = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-id"]
        default_permissions = ()
        permissions = [
            ("view_console", "Can see the console"),
            ("requeue_job", "Can retry dead jobs"),
            ("discard_job", "Can discard jobs"),
            ("cancel_job", "Can cancel pending jobs"),
            ("stop_job", "Can stop running jobs"),
            ("reschedule_job", "Can change when pending jobs run"),
            ("edit_job", "Can change the arguments of jobs and run them"),
            ("enqueue_job", "Can enqueue registered jobs"),
            ("export_jobs", "Can export lists of jobs"),
            ("share_view", "Can share saved searches with everybody"),
            ("view_payload", "Can see unmasked arguments"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=RunState.values), name="jobs_run_state_known"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, state__in=[*PENDING_STATES])
                | Q(ended_at__isnull=False, state__in=[*ENDED_STATES]),
                name="jobs_run_ended_at_iff_ended",
            ),
            models.UniqueConstraint(
                fields=["unique_key"],
                name="jobs_run_unique_while_pending",
                condition=Q(unique_key__isnull=False, state__in=[*PENDING_STATES]),
            ),
        ]
        indexes = [
            models.Index(fields=["state", "-id"], name="jobs_run_state"),
            models.Index(fields=["name", "-id"], name="jobs_run_name"),
            models.Index(fields=["queue", "-id"], name="jobs_run_queue"),
            models.Index(fields=["state", "ended_at"], name="jobs_run_ended"),
            # What waits for a time, soonest first.
            models.Index(
                fields=["state", "due_at", "id"], name="jobs_run_due", condition=Q(state__in=["scheduled", "retrying"])
            ),
            # What one request brought about. Runs that nothing came before have none.
            models.Index(fields=["correlation", "-id"], name="jobs_run_correlation", condition=~Q(correlation="")),
            models.Index(fields=["subject", "-id"], name="jobs_run_subject", condition=Q(subject__isnull=False)),
            # Most runs have no parent, and pay for no index.
            models.Index(fields=["parent", "id"], name="jobs_run_parent", condition=Q(parent__isnull=False)),
            models.Index(fields=["batch", "-id"], name="jobs_run_batch", condition=Q(batch__isnull=False)),
            # How many members are in a state, and how many ended lately.
            models.Index(
                fields=["batch", "state", "ended_at"], name="jobs_run_batch_state", condition=Q(batch__isnull=False)
            ),
            models.Index(
                fields=["id"],
                name="jobs_run_unpushed",
                condition=Q(pushed_at__isnull=True, state__in=["queued", "scheduled", "retrying"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"


class JobAttempt(models.Model):
    """One attempt that did not simply succeed. `token` is the claim's, so a replayed journal adds no row."""

    run = models.ForeignKey(JobRun, on_delete=models.CASCADE, related_name="history")
    life = models.PositiveIntegerField(default=0)
    number = models.PositiveIntegerField(help_text="1 for the first attempt of a life")
    token = models.CharField(max_length=64, unique=True)

    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    run_ms = models.PositiveIntegerField()
    worker = models.CharField(max_length=200)
    release = models.CharField(max_length=100, blank=True)

    outcome = models.CharField(max_length=20, help_text="How it ended: raised, timed out, interrupted …")
    verdict = models.CharField(
        max_length=20, help_text="What followed: retry, bury, discard, put off, hand back, isolate"
    )
    reason = models.CharField(max_length=200, blank=True)
    next_at = models.DateTimeField(null=True)
    error_class = models.CharField(max_length=200, blank=True)
    error_message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    # The default of the database's own is for recorders that still run on the code before.
    fingerprint = models.CharField(
        max_length=32, blank=True, default="", db_default="", help_text="Of the failure's cause; empty for none"
    )

    # Null where nothing is kept, and by recorders that still run on the code before.
    log = models.JSONField(null=True, help_text="Its last log lines: [milliseconds, level, logger, text] each, masked")

    class Meta:
        verbose_name = _("job attempt")
        verbose_name_plural = _("job attempts")
        ordering = ["ended_at", "id"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["ended_at"], name="jobs_attempt_crashed", condition=Q(outcome="crashed")),
            # The runs of a cause, in the order of the Jobs page.
            models.Index(fields=["fingerprint", "-run"], name="jobs_attempt_cause", condition=~Q(fingerprint="")),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.run_id}"

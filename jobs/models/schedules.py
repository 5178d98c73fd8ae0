"""Schedules, the due times that came of them, and what was changed in them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Missed(models.TextChoices):
    """What becomes of due times that passed while nobody looked."""

    SKIP = "skip", _("skip")
    ONCE = "once", _("once")
    ALL = "all", _("all, up to")


class Overlap(models.TextChoices):
    """What becomes of a due time while a run of the schedule is pending."""

    ALLOW = "allow", _("allow")
    SKIP = "skip", _("skip")
    QUEUE = "queue", _("queue")


class TickState(models.TextChoices):
    """What became of a due time."""

    ASKED = "asked", _("asked")
    WAITING = "waiting", _("waiting")
    SKIPPED = "skipped", _("skipped")
    MISSED = "missed", _("missed")
    FAILED = "failed", _("failed")


class Schedule(models.Model):
    """A job that is asked for again and again, by the code's `@cron` or by a person.

    1. `next_due_at` is the next due time, null while it is paused or where there is none.
    2. A ticker finds it by `look_at`, locks the row, and writes the tick and the run in one transaction.
    3. `last_due_at` never goes back, whatever the clocks do.

    Of one that the code declares, `code` is what it last said, and `edited` names the terms that a person changed:
    by whom and when. Those stay when the code changes, and are shown as drift. `revision` goes up with each change.
    """

    name = models.CharField(_("schedule"), max_length=200, unique=True)
    job = models.CharField(_("job"), max_length=200)
    expression = models.CharField(_("expression"), max_length=200)
    timezone = models.CharField(_("time zone"), max_length=100)
    queue = models.CharField(_("queue"), max_length=200, blank=True, help_text="Empty: the job's own")
    arguments = models.JSONField(_("arguments"), default=dict, help_text="As the runs get them: shown masked only")
    missed = models.CharField(_("missed times"), max_length=10, choices=Missed.choices, default=Missed.ONCE)
    most_missed = models.PositiveIntegerField(_("missed times at the most"), default=1)
    grace = models.FloatField(_("grace"), default=60.0, help_text="Seconds after which a missed time is skipped")
    overlap = models.CharField(_("overlap"), max_length=10, choices=Overlap.choices, default=Overlap.ALLOW)
    most_waiting = models.PositiveIntegerField(_("waiting at the most"), default=10)
    jitter = models.FloatField(_("jitter"), default=0.0, help_text="Seconds up to which a run starts later")
    late_after = models.FloatField(_("late after"), null=True, help_text="Seconds; null: the project's")
    on_late = models.CharField(_("on late"), max_length=200, blank=True, help_text="A job; empty: the project's")

    by_code = models.BooleanField(_("from the code"), default=False)
    code = models.JSONField(null=True, help_text="What the code last said")
    edited = models.JSONField(default=dict, help_text="Terms that differ from the code's: by whom, and when")
    left_code_at = models.DateTimeField(_("not in the code since"), null=True)
    revision = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(_("added"))
    created_by = models.CharField(_("added by"), max_length=200)

    paused_at = models.DateTimeField(_("paused"), null=True)
    paused_by = models.CharField(_("paused by"), max_length=200, blank=True)
    paused_reason = models.CharField(_("why"), max_length=500, blank=True)
    paused_until = models.DateTimeField(_("paused until"), null=True)

    last_due_at = models.DateTimeField(_("last due"), null=True)
    next_due_at = models.DateTimeField(_("next due"), null=True, db_index=True)
    look_at = models.DateTimeField(null=True, db_index=True, help_text="When a ticker has something to do")

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ["name"]
        default_permissions = ()
        permissions = [
            ("pause_schedule", "Can pause and resume schedules"),
            ("run_schedule", "Can run schedules now"),
            ("edit_schedule", "Can add, edit and remove schedules"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(missed__in=Missed.values), name="jobs_schedule_missed_known"),
            models.CheckConstraint(condition=Q(overlap__in=Overlap.values), name="jobs_schedule_overlap_known"),
        ]

    def __str__(self) -> str:
        return f"schedule {self.name}"


class ScheduleTick(models.Model):
    """One due time of a schedule, and what became of it; of missed ones, a row for all in one stretch.

    Unique by schedule and due time: that is what makes each happen once, however many workers tick. `late_at` is when
    to look whether it has started, null when nobody need look; `late_told_at` when it was told that it had not.
    """

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="ticks")
    due_at = models.DateTimeField(_("due"))
    state = models.CharField(_("state"), max_length=10, choices=TickState.choices)
    why = models.CharField(_("why"), max_length=500, blank=True)
    run = models.UUIDField(_("run"), null=True, db_index=True)
    ticked_at = models.DateTimeField(_("looked at"))
    asked_at = models.DateTimeField(_("asked"), null=True)
    until_at = models.DateTimeField(_("until"), null=True, help_text="Of missed ones: the last due time of the stretch")
    count = models.PositiveIntegerField(_("count"), default=1)
    by_hand = models.CharField(_("by hand"), max_length=200, blank=True, help_text="Who ran it now")
    late_at = models.DateTimeField(null=True)
    late_told_at = models.DateTimeField(_("told as late"), null=True)

    class Meta:
        verbose_name = _("tick")
        verbose_name_plural = _("ticks")
        ordering = ["-due_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["schedule", "due_at"], name="jobs_tick_once"),
            models.CheckConstraint(condition=Q(state__in=TickState.values), name="jobs_tick_state_known"),
        ]
        indexes = [
            models.Index(fields=["schedule", "state", "-due_at"], name="jobs_tick_state"),
            models.Index(fields=["late_at"], name="jobs_tick_late", condition=Q(late_at__isnull=False)),
            models.Index(fields=["due_at"], name="jobs_tick_told", condition=Q(late_told_at__isnull=False)),
            models.Index(fields=["ticked_at"], name="jobs_tick_age"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.due_at:%Y-%m-%d %H:%M:%S %Z} of schedule {self.schedule_id}"


class ScheduleEdit(models.Model):
    """One change of a schedule: `before` and `after` have the terms that changed. What it was can be had back."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="edits")
    at = models.DateTimeField(_("at"))
    actor = models.CharField(_("who"), max_length=200)
    action = models.CharField(_("action"), max_length=20)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("edit of a schedule")
        verbose_name_plural = _("edits of schedules")
        ordering = ["-id"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"


class ScheduleCode(models.Model):
    """One version of the schedules that code declares, so that two releases beside each other do not take turns.

    The version that was declared last, of those that still run, is the one that rows follow.
    """

    digest = models.CharField(max_length=64, unique=True)
    release = models.CharField(max_length=100, blank=True)
    declared_at = models.DateTimeField(help_text="When it was first seen, or last asked for by name")
    seen_at = models.DateTimeField(help_text="When a process last said that it runs on it")
    applied_at = models.DateTimeField(null=True, help_text="When rows last followed it")

    class Meta:
        verbose_name = _("version of the code's schedules")
        verbose_name_plural = _("versions of the code's schedules")
        default_permissions = ()

    def __str__(self) -> str:
        return self.release or self.digest[:12]

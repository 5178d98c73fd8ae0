"""Figures by the minute, rolled up by hour and by day, and totals since ever."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.policy import histogram


class MetricMinute(models.Model):
    """What happened to a job's runs in one queue and one minute (UTC): counts, and how long they waited and ran.

    `started` and the waits are in the minute of the start, all others in that of the end. An attempt is counted
    when it has ended; one that only found its job unknown is not.

    `wait_00` to `wait_23` and `run_00` to `run_23` count durations by the buckets of `jobs.policy.histogram`. They are
    columns so that the database adds them up. Interrupted attempts have no run time here.
    """

    name = models.CharField(max_length=200)
    queue = models.CharField(max_length=100)
    minute = models.DateTimeField(help_text="When it begins")

    enqueued = models.IntegerField(default=0, db_default=0, help_text="Runs that came to Redis for the first time")
    started = models.IntegerField(default=0)
    succeeded = models.IntegerField(default=0)
    failed = models.IntegerField(default=0, help_text="Attempts that went wrong, whatever followed")
    retried = models.IntegerField(default=0)
    dead = models.IntegerField(default=0)
    discarded = models.IntegerField(default=0)
    cancelled = models.IntegerField(default=0, help_text="Stopped by a person while they ran")
    interrupted = models.IntegerField(default=0, help_text="Handed back, and no attempt burnt")

    wait_ms = models.BigIntegerField(default=0, help_text="Of all that started, in all")
    run_ms = models.BigIntegerField(default=0, help_text="Of all that were not interrupted, in all")

    rolled = models.BooleanField(
        default=False, db_default=False, help_text="Whether its hour has all of it; what is added makes it False again"
    )

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["name", "queue", "minute"], name="jobs_metric_once")]
        verbose_name = _("metric")
        verbose_name_plural = _("metrics")
        indexes = [
            models.Index(fields=["minute"], name="jobs_metric_minute"),
            models.Index(fields=["minute"], name="jobs_metric_unrolled", condition=models.Q(rolled=False)),
        ]

    def __str__(self) -> str:
        return f"{self.name} in {self.queue} at {self.minute:%Y-%m-%d %H:%M}"


class MetricHour(models.Model):
    """The same of an hour (UTC), summed up from its minutes. Kept for 100 days.

    Rows without a name are all jobs of their queue together.
    """

    name = models.CharField(max_length=200)
    queue = models.CharField(max_length=100)
    hour = models.DateTimeField(help_text="When it begins")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["name", "queue", "hour"], name="jobs_metric_hour_once")]
        indexes = [models.Index(fields=["hour"], name="jobs_metric_hour")]

    def __str__(self) -> str:
        return f"{self.name} in {self.queue} at {self.hour:%Y-%m-%d %H}h"


class MetricDay(models.Model):
    """The same of a day (UTC), summed up from its hours. Kept for two years."""

    name = models.CharField(max_length=200)
    queue = models.CharField(max_length=100)
    day = models.DateTimeField(help_text="When it begins")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["name", "queue", "day"], name="jobs_metric_day_once")]
        indexes = [models.Index(fields=["day"], name="jobs_metric_day")]

    def __str__(self) -> str:
        return f"{self.name} in {self.queue} on {self.day:%Y-%m-%d}"


class MetricTotal(models.Model):
    """The same since ever: changed with the minutes, in the same transaction, and never deleted.

    So what is counted from it never goes down, whatever retention deletes.
    """

    name = models.CharField(max_length=200)
    queue = models.CharField(max_length=100)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["name", "queue"], name="jobs_metric_total_once")]

    def __str__(self) -> str:
        return f"{self.name} in {self.queue}"


class MetricCursor(models.Model):
    """How far something was carried into the figures: one row each.

    `enqueued` has what Redis had counted when it was last looked at; `rolled` is the lock of who rolls up.
    """

    kind = models.CharField(max_length=20, primary_key=True)
    version = models.BigIntegerField(default=0, help_text="Goes up with each change")
    state = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind}, version {self.version}"


COUNTS = (
    *("enqueued", "started", "succeeded", "failed", "retried", "dead"),
    *("discarded", "cancelled", "interrupted"),
)
# How an attempt ends that was not interrupted: together they are the attempts that `run_ms` is of.
ENDED = ("succeeded", "retried", "dead", "discarded", "cancelled")
# The name of the hours and days of all jobs together.
ALL_JOBS = ""
WAITS = tuple(f"wait_{bucket:02}" for bucket in range(histogram.BUCKETS))
RUNS = tuple(f"run_{bucket:02}" for bucket in range(histogram.BUCKETS))
# What is counted, in the order of every statement.
COLUMNS = (*COUNTS, "wait_ms", "run_ms", *WAITS, *RUNS)

for _column in (*WAITS, *RUNS):
    models.IntegerField(default=0).contribute_to_class(MetricMinute, _column)
for _model in (MetricHour, MetricDay, MetricTotal):
    for _column in COLUMNS:
        models.BigIntegerField(default=0, db_default=0).contribute_to_class(_model, _column)

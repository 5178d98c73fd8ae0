"""Figures by the minute."""

from __future__ import annotations

from django.db import models

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

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["name", "queue", "minute"], name="jobs_metric_once")]
        indexes = [models.Index(fields=["minute"], name="jobs_metric_minute")]

    def __str__(self) -> str:
        return f"{self.name} in {self.queue} at {self.minute:%Y-%m-%d %H:%M}"


WAITS = tuple(f"wait_{bucket:02}" for bucket in range(histogram.BUCKETS))
RUNS = tuple(f"run_{bucket:02}" for bucket in range(histogram.BUCKETS))
for _column in (*WAITS, *RUNS):
    models.IntegerField(default=0).contribute_to_class(MetricMinute, _column)

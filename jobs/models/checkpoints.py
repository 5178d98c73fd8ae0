"""How far iterating runs are."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models.runs import JobRun


class JobCheckpoint(models.Model):
    """How far an iterating run was when it was last looked: `items` are done, and `cursor` is where it goes on.

    The run's hash in Redis is younger while it is there.
    """

    # The recorder may write the run's row later: one that is not durable gets it at its first failure.
    run = models.OneToOneField(
        JobRun, on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="checkpoint"
    )
    cursor = models.JSONField(_("cursor"), null=True)
    items = models.PositiveBigIntegerField(_("items done"))
    saved_at = models.DateTimeField(_("saved at"))

    class Meta:
        verbose_name = _("checkpoint")
        verbose_name_plural = _("checkpoints")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.items} items of {self.run_id}"

"""How far runs were, as they said themselves."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models.runs import JobRun
from jobs.policy.progress import LONGEST_MESSAGE, LONGEST_UNIT


class JobProgress(models.Model):
    """How far a run was at the end of its latest attempt. While one runs, its hash in Redis is younger."""

    # The row of a run that is not durable may be written in the same moment.
    run = models.OneToOneField(
        JobRun, on_delete=models.CASCADE, primary_key=True, db_constraint=False, related_name="progress"
    )
    done = models.FloatField(_("done"))
    total = models.FloatField(_("of"), null=True)
    message = models.CharField(_("message"), max_length=LONGEST_MESSAGE, blank=True)
    unit = models.CharField(_("unit"), max_length=LONGEST_UNIT, blank=True)
    reported_at = models.DateTimeField(_("reported at"))

    class Meta:
        verbose_name = _("progress")
        verbose_name_plural = _("progress")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.done:g} of {'?' if self.total is None else f'{self.total:g}'} of {self.run_id}"

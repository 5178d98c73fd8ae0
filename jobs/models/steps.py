"""What runs have done step by step."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models.runs import JobRun

LONGEST_STEP_NAME = 100


class JobStep(models.Model):
    """A step that a run has done, with what it gave: no later attempt of that run does it again.

    `problem` says why what it gave could not be kept.
    """

    run = models.ForeignKey(JobRun, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="steps")
    name = models.CharField(_("step"), max_length=LONGEST_STEP_NAME)
    result = models.JSONField(_("result"), null=True)
    problem = models.CharField(_("problem"), max_length=500, blank=True)
    attempt = models.PositiveIntegerField(_("attempt"), help_text="The attempt that did it")
    run_ms = models.PositiveIntegerField(_("took"))
    done_at = models.DateTimeField(_("done at"))

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["done_at", "pk"]
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="jobs_step_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.run_id}"

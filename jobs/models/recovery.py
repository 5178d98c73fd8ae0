"""Rules by which dead jobs are retried without a person."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _


class RecoveryRule(models.Model):
    """Dead jobs of a pattern of names, and of errors that say that a partner did not answer, are retried when it does.

    `errors` are names of classes, the usual ones of timeouts and connections when empty. `per_hour` and `lives` limit
    it: how many an hour, and how often one run at the most, by whomever.
    """

    jobs = models.CharField(_("jobs"), max_length=200, help_text="A name, or a pattern such as orders.*")
    errors = models.CharField(_("errors"), max_length=500, blank=True, help_text="Classes, with commas between")
    per_hour = models.PositiveIntegerField(_("at the most an hour"), default=500)
    lives = models.PositiveIntegerField(_("at the most a run"), default=3)
    rest = models.DurationField(_("rest"), default=timedelta(minutes=5), help_text="After a death or a failed try")
    canary = models.PositiveIntegerField(_("canary"), default=5)
    rate = models.FloatField(_("rate"), default=10.0, help_text="How many a second")
    is_on = models.BooleanField(_("on"), default=True)
    note = models.CharField(_("note"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)
    created_by = models.CharField(_("by"), max_length=200)

    class Meta:
        verbose_name = _("recovery rule")
        verbose_name_plural = _("recovery rules")
        ordering = ["id"]
        default_permissions = ()
        permissions = [("manage_recovery", "Can let dead jobs be retried by rule")]

    def __str__(self) -> str:
        return f"rule {self.pk}: {self.jobs}"

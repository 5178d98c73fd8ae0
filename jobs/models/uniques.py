"""Unique jobs that are unique for a time."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class UniqueHold(models.Model):
    """Until when a run keeps its equals out, whatever becomes of it, unless it ends without having succeeded.

    A row, so that it commits and rolls back with the asking. `run` is what two askings compare and set.
    """

    key = models.CharField(_("key"), max_length=64, primary_key=True)
    run = models.UUIDField(_("run"))
    until = models.DateTimeField(_("until"), db_index=True)

    class Meta:
        verbose_name = _("hold of a unique job")
        verbose_name_plural = _("holds of unique jobs")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.run} until {self.until:%Y-%m-%d %H:%M:%S}"

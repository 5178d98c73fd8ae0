"""Effects in the outside world that may happen once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class EffectState(models.TextChoices):
    CLAIMED = "claimed", _("claimed")
    DONE = "done", _("done")


class Effect(models.Model):
    """One outside effect that may happen once: claimed before the call, done with its result after it.

    `held_until` is until when the one that claimed it is believed to be at it. `problem` says why the result of a
    call that was made could not be kept; then `result` says nothing.
    """

    key = models.CharField(_("key"), max_length=200, unique=True)
    state = models.CharField(_("state"), max_length=10, choices=EffectState.choices, default=EffectState.CLAIMED)
    result = models.JSONField(_("result"), null=True)
    problem = models.CharField(_("problem"), max_length=500, blank=True)
    run = models.UUIDField(_("run"), null=True, help_text="The run that claimed it last")
    claimed_at = models.DateTimeField(_("claimed at"))
    held_until = models.DateTimeField(_("held until"))
    done_at = models.DateTimeField(_("done at"), null=True, db_index=True)

    class Meta:
        verbose_name = _("effect")
        verbose_name_plural = _("effects")
        ordering = ["-id"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(state="claimed", done_at__isnull=True) | Q(state="done", done_at__isnull=False),
                name="jobs_effect_done_at_iff_done",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"

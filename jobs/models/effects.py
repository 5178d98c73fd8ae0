"""Effects in the outside world that may happen once."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.models.markers import CLAIMED, Marker


class EffectState(models.TextChoices):
    CLAIMED = CLAIMED, _("claimed")
    DONE = "done", _("done")


class Effect(Marker):
    """One outside effect that may happen once: claimed before the call, done with its result after it.

    `problem` says why the result of a call that was made could not be kept; then `result` says nothing.
    """

    DONE = "done"
    DONE_AT = "done_at"
    IDENTITY = ("key",)

    key = models.CharField(_("key"), max_length=200, unique=True)
    state = models.CharField(_("state"), max_length=10, choices=EffectState.choices, default=EffectState.CLAIMED)
    result = models.JSONField(_("result"), null=True)
    problem = models.CharField(_("problem"), max_length=500, blank=True)
    done_at = models.DateTimeField(_("done at"), null=True, db_index=True)

    class Meta:
        verbose_name = _("effect")
        verbose_name_plural = _("effects")
        ordering = ["-id"]
        default_permissions = ()
        permissions = [("release_effect", "Can release claims of effects and e-mails, and mark them as done")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="claimed", done_at__isnull=True) | Q(state="done", done_at__isnull=False),
                name="jobs_effect_done_at_iff_done",
            ),
        ]

    @classmethod
    def undone(cls) -> dict[str, Any]:
        return {**super().undone(), "result": None, "problem": ""}

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"

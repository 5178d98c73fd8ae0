"""Who did what, and why."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models.append_only import AppendOnly


class AuditEntry(models.Model):
    """One action by a person, a command or a rule. Append only; the user's name is copied, for users go.

    Triggers refuse what goes around this class. SQLite drops them with the table when a migration makes it anew:
    such a migration ends by making them again, as the one that made them does.
    """

    at = models.DateTimeField(_("when"), auto_now_add=True)
    actor = models.CharField(_("who"), max_length=200)
    address = models.CharField(_("address"), max_length=100, blank=True)
    action = models.CharField(_("action"), max_length=50)
    target = models.CharField(_("target"), max_length=300, blank=True)
    filter = models.JSONField(_("filter"), default=dict, blank=True)
    count = models.PositiveIntegerField(_("count"), default=1)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    outcome = models.CharField(_("outcome"), max_length=20, default="done", help_text="done, refused, or nothing to do")

    objects = models.Manager.from_queryset(AppendOnly)()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit")
        ordering = ["-id"]
        default_permissions = ()
        permissions = [("view_audit", "Can see who did what")]
        indexes = [
            models.Index(fields=["target", "-id"], name="jobs_audit_target"),
            models.Index(fields=["actor", "-id"], name="jobs_audit_actor"),
            models.Index(fields=["action", "-id"], name="jobs_audit_action"),
            models.Index(fields=["outcome", "-id"], name="jobs_audit_outcome"),
            models.Index(fields=["at"], name="jobs_audit_at"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("an audit entry is never changed; write another one that says what happened since")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("an audit entry is never deleted")

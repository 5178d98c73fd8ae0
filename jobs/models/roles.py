"""What was given to the roles' groups."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class RoleGrant(models.Model):
    """One permission that a role's group was given, once. What people take away from the group stays away."""

    role = models.CharField(_("role"), max_length=20)
    codename = models.CharField(_("permission"), max_length=100)
    given_at = models.DateTimeField(_("given"), auto_now_add=True)

    class Meta:
        verbose_name = _("permission given to a role")
        verbose_name_plural = _("permissions given to roles")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["role", "codename"], name="jobs_role_grant_once")]

    def __str__(self) -> str:
        return f"{self.role}: {self.codename}"

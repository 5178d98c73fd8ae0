"""What has no table, for it lives in Redis, and still has a page and permissions."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from jobs.models.runs import JobRun


class CircuitsAndLocks(JobRun):
    """The name of the page about circuits and locks, and who may act there. Nobody asks for its rows."""

    class Meta:
        proxy = True
        verbose_name = _("circuit or lock")
        verbose_name_plural = _("circuits and locks")
        default_permissions = ()
        permissions = [
            ("manage_circuit", "Can open and close circuits"),
            ("release_lock", "Can release locks"),
        ]

"""Searches worth keeping."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class SavedView(models.Model):
    """A search of the Jobs page under a name: a person's own, or everybody's where `owner` is empty.

    `owner` is the key of a user as text: users may live in another database, and need not be Django's.
    """

    name = models.CharField(_("name"), max_length=60)
    query = models.CharField(_("search"), max_length=2000, help_text="As the page's address carries it")
    owner = models.CharField(max_length=100, blank=True, help_text="A user's key; empty: shared with all")
    made_by = models.CharField(_("saved by"), max_length=200)
    made_at = models.DateTimeField(_("saved"), auto_now_add=True)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering = ["owner", "name"]
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="jobs_view_named_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_shared(self) -> bool:
        """Whether everybody sees it."""
        return not self.owner

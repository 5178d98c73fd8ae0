"""What everything that may happen once leaves behind: a claim before it, and that it was done after it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

CLAIMED = "claimed"


class Marker(models.Model):
    """One thing that may happen once, by its `identity`: claimed before the call, done after it.

    `held_until` is until when the one that claimed it is believed to be at it. `expires_at` is from when on it may
    happen again; null for never.
    """

    DONE: ClassVar[str]
    DONE_AT: ClassVar[str]
    IDENTITY: ClassVar[tuple[str, ...]]

    run = models.UUIDField(_("run"), null=True, help_text=_("The run that claimed it last"))
    claimed_at = models.DateTimeField(_("claimed at"))
    held_until = models.DateTimeField(_("held until"))
    expires_at = models.DateTimeField(_("may happen again"), null=True, db_index=True)

    class Meta:
        abstract = True

    # Each has a column of this name.
    state: Any

    @property
    def identity(self) -> dict[str, Any]:
        """What finds it."""
        return {field: getattr(self, field) for field in self.IDENTITY}

    @property
    def is_done(self) -> bool:
        return bool(self.state == self.DONE)

    @property
    def ended_at(self) -> datetime | None:
        """When it was done."""
        found: datetime | None = getattr(self, self.DONE_AT)
        return found

    def is_over(self, now: datetime) -> bool:
        """Whether it was done, and may happen again."""
        return self.is_done and self.expires_at is not None and self.expires_at <= now

    def is_in_doubt(self, now: datetime) -> bool:
        """Whether it was claimed, and nobody can be at it any more."""
        return not self.is_done and self.held_until <= now

    @classmethod
    def undone(cls) -> dict[str, Any]:
        """The facts of one that is claimed."""
        return {"state": CLAIMED, cls.DONE_AT: None, "expires_at": None}

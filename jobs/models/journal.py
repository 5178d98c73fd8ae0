"""How much of the journal is stored."""

from __future__ import annotations

from django.db import models


class JournalCursor(models.Model):
    """How far a shard of the journal is stored: it moves in the transaction that stores the entries."""

    shard = models.PositiveIntegerField(primary_key=True)
    position = models.CharField(max_length=50, default="0-0", help_text="The last stored entry's stream id")
    epoch = models.CharField(
        max_length=64, default="", help_text="The id of the server whose runs were last compared with the rows"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"shard {self.shard} at {self.position}"

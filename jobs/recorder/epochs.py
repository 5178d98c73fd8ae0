"""What the cursor's row knows of the server whose journal it follows. See `jobs.reconciling`."""

from __future__ import annotations

from jobs.broker import journal
from jobs.models import JournalCursor
from jobs.recorder.storing import SHARD, position


def start_over() -> None:
    """Store everything that is in the journal, also what lies behind the cursor: the journal is another one now.

    What was stored before changes nothing: its runs have ended, or are where the entries say.
    """
    position()
    JournalCursor.objects.filter(shard=SHARD).update(position=journal.FIRST)


def epoch() -> str:
    """The server whose runs were last compared with the rows, empty for none."""
    found = JournalCursor.objects.filter(shard=SHARD).values_list("epoch", flat=True).first()
    return found or ""


def record_epoch(server: str) -> None:
    """Remember the server whose runs were compared with the rows."""
    position()
    JournalCursor.objects.filter(shard=SHARD).update(epoch=server)

"""Stores the journal: runs, attempts, burials and figures, each entry once and in order per run.

1. `storing` reads entries behind the cursor, and writes what they say in the one transaction that moves it.
2. Most only say that a run succeeded: `successes` stores those of a transaction in one statement.
3. `changes` stores the others, on whole rows that it locked.
4. `storing` forgets: trims the journal, and shrinks ended runs in Redis to a marker.
"""

from jobs.recorder.epochs import epoch, record_epoch, start_over
from jobs.recorder.storing import CursorMoved, catch_up, pass_by, position, record, record_all

__all__ = [
    "CursorMoved",
    "catch_up",
    "epoch",
    "pass_by",
    "position",
    "record",
    "record_all",
    "record_epoch",
    "start_over",
]

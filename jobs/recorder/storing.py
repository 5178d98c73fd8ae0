"""Takes the journal's next entries into the database, once.

1. `journal.read` takes entries behind the cursor.
2. `_store` writes what they say and moves the cursor, in one transaction: two recorders cannot both.
3. `journal.forget` trims the journal and shrinks ended runs in Redis to a marker.

A crash between 2 and 3 leaves entries that are stored: `catch_up` forgets them at the next start.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    router,
    transaction,
)

from jobs import failpoints, members
from jobs.broker import journal
from jobs.broker.journal import Entry
from jobs.metrics import Minutes
from jobs.models import JobRun, JournalCursor
from jobs.recorder import changes, successes

logger = logging.getLogger(__name__)

SHARD = 0
_ENDING_VERDICTS = ("done", "discard", "cancel")
_AT_ONCE = 500

# What an entry raises that says too little, or what the database cannot hold.
_UNFIT = (
    DataError,
    IntegrityError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    RecursionError,
)
# What says nothing of the entry.
_NOT_ITS_FAULT = (OperationalError, ProgrammingError, InterfaceError)


class CursorMoved(Exception):
    """Another recorder stored these entries."""


def record(*, block_seconds: float = 0.0) -> int:
    """Store the next entries, waiting up to `block_seconds` for the first one. Returns how many there were.

    Raises `BrokerUnavailable` or a database error, and may be called again after either.
    """
    after = position()
    entries = journal.read(after, most=_AT_ONCE, block_seconds=block_seconds)
    if not entries:
        return 0
    try:
        _store_all(entries, after=after)
    except CursorMoved:
        return 0
    if failpoints.armed:
        failpoints.reach("after_commit")
    journal.forget(entries[-1].position, _ended(entries))
    if failpoints.armed:
        failpoints.reach("after_forget")
    return len(entries)


def record_all() -> int:
    """Store everything that is in the journal now. Returns how many entries there were."""
    catch_up()
    count = 0
    while stored := record():
        count += stored
    return count


def pass_by() -> None:
    """Store the next entries one by one, leaving out all that cannot be, when `record` fails at them again and again.

    What an ended run left in Redis then stays there. Raises as `record` does.
    """
    after = position()
    with contextlib.suppress(CursorMoved):
        _store_one_by_one(journal.read(after, most=_AT_ONCE), after=after, unfit=(Exception,))
    journal.forget(position(), [])


def catch_up() -> None:
    """Forget entries that an earlier recorder stored and did not come to forget."""
    stored = position()
    while stored != journal.FIRST and (entries := journal.read_stored(stored, most=_AT_ONCE)):
        journal.forget(entries[-1].position, _ended(entries))


def position() -> str:
    """Up to where the journal is stored."""
    cursor, _ = JournalCursor.objects.get_or_create(shard=SHARD)
    return cursor.position


def _ended(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    settled = [entry.data for entry in entries if entry.data and entry.kind == "settled"]
    return [
        (data["run"], data["life"])
        for data in settled
        # In Python true is an integer; Redis takes it for none.
        if data.get("verdict") in _ENDING_VERDICTS and type(data.get("life")) is int and _is_text(data.get("run"))
    ]


def _is_text(value: object) -> bool:
    """Whether it can be written to Redis: JSON can name half of a character."""
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _store_all(entries: Sequence[Entry], *, after: str) -> None:
    try:
        _store(entries, after=after)
    except _UNFIT:
        _store_one_by_one(entries, after=after)


def _store(entries: Sequence[Entry], *, after: str) -> None:
    with transaction.atomic(using=router.db_for_write(JobRun)):
        _move(after, entries[-1].position)
        _write(entries)
        if failpoints.armed:
            failpoints.reach("before_commit")


def _store_one_by_one(entries: Sequence[Entry], *, after: str, unfit: tuple[type[Exception], ...] = _UNFIT) -> None:
    """One entry that the database refuses must not hold up the rest: it is logged whole and passed by."""
    for position, told_together in itertools.groupby(entries, key=lambda entry: entry.position):
        with transaction.atomic(using=router.db_for_write(JobRun)):
            _move(after, position)
            for entry in told_together:
                _write_if_fit(entry, unfit)
        after = position


def _write_if_fit(entry: Entry, unfit: tuple[type[Exception], ...]) -> None:
    try:
        with transaction.atomic(using=router.db_for_write(JobRun)):
            _write([entry])
    except (CursorMoved, *_NOT_ITS_FAULT):
        raise
    except unfit:
        logger.exception("journal entry cannot be stored", extra={"entry": entry.data, "position": entry.position})


def _move(after: str, to: str) -> None:
    """Move the cursor, which holds off every other recorder until the transaction ends."""
    ours = JournalCursor.objects.filter(shard=SHARD, position=after)
    if not ours.update(position=to, updated_at=datetime.now(UTC)):
        raise CursorMoved


def _write(entries: Sequence[Entry]) -> None:
    minutes = Minutes()
    with members.gathering():
        others = successes.store(entries, minutes)
        if others:
            changes.store(others, minutes)
    minutes.write()

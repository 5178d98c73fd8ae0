"""Pushes what a transaction asked for, all of it together, once it has committed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from jobs import failpoints
from jobs.broker.parcels import Parcel
from jobs.broker.push import QueuesRefused, push_parcels
from jobs.errors import BrokerUnavailable
from jobs.models import JobRun
from jobs.signals import job_enqueued
from jobs.spool import Spool

logger = logging.getLogger(__name__)

# A run that the relay pushed meanwhile may have ended and left Redis after 60 s; this is well before.
_LATEST_PUSH_SECONDS = 30.0
_RUNS_AT_ONCE = 2000
_CHARACTERS_AT_ONCE = 4_000_000


class Outbox:
    """What was asked for in one transaction.

    1. `post` puts parcels into it, and hands it to Django's `on_commit`.
    2. More that is asked for joins it, if it cannot but commit or roll back together with it.
    3. Django drops it with the transaction or the savepoint, or calls it after the commit: it pushes.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._parcels: Spool | None = None
        self._connection = connection
        self._raises = not connection.in_atomic_block
        # Django makes another list when a savepoint is rolled back, and takes from this one what it calls.
        self._callbacks = connection.run_on_commit
        self._latest_taken = 0.0
        self._may_be_rolled_back = False

    def take(self, parcels: Spool) -> None:
        if self._parcels is None:
            self._parcels = parcels
        else:
            # Into one, for each keeps some in memory.
            for kept in parcels:
                self._parcels.add(kept, characters=Parcel(*kept).characters)
        # Nobody else can know of any of these runs before the commit, and that is later than this.
        self._latest_taken = time.monotonic()

    def __call__(self) -> None:
        self._may_be_rolled_back = any(function is self for _, function, *_ in self._callbacks)
        if failpoints.armed:
            failpoints.reach("before_push")
        batches = self._batches()
        for batch in batches:
            if not self._push(self._with_rows(self._in_time(batch))):
                for rest in batches:
                    _tell(rest, "Redis did not take those before them")
        if failpoints.armed:
            failpoints.reach("after_push")

    def _push(self, parcels: list[Parcel]) -> bool:
        """Whether more can be pushed."""
        refused: list[Parcel] = []
        try:
            push_parcels(parcels, at=timezone.now())
        except QueuesRefused as error:
            refused = [parcel for parcel in parcels if parcel.queue in error.queues]
            self._raise_or_tell(refused, error)
        except BrokerUnavailable as error:
            self._raise_or_tell(parcels, error)
            return False
        if job_enqueued.has_listeners():
            for parcel in parcels:
                if parcel not in refused:
                    job_enqueued.send_robust(parcel.name, run_ids=parcel.run_ids)
        return True

    def _raise_or_tell(self, parcels: list[Parcel], error: BrokerUnavailable) -> None:
        if self._raises and not all(parcel.durable for parcel in parcels):
            raise error
        _tell(parcels, str(error))

    def _in_time(self, parcels: list[Parcel]) -> list[Parcel]:
        """Without those that are the relay's by now."""
        if time.monotonic() - self._latest_taken <= _LATEST_PUSH_SECONDS:
            return parcels
        return [parcel for parcel in parcels if not parcel.durable]

    def _with_rows(self, parcels: list[Parcel]) -> list[Parcel]:
        """Without what was rolled back by `savepoint_rollback`: Django drops its callbacks for its own blocks only."""
        if not self._may_be_rolled_back:
            return parcels
        asked = [run_id for parcel in parcels if parcel.durable for run_id in parcel.run_ids]
        rows = JobRun.objects.using(self._connection.alias).filter(pk__in=asked)
        try:
            there = {str(pk) for pk in rows.order_by().values_list("pk", flat=True)}
        except DatabaseError as error:
            _tell([parcel for parcel in parcels if parcel.durable], str(error))
            there = set()
        kept = [parcel.only(there) if parcel.durable else parcel for parcel in parcels]
        return [parcel for parcel in kept if parcel.runs]

    def _batches(self) -> Iterator[list[Parcel]]:
        batch: list[Parcel] = []
        runs = characters = 0
        for parcel in (Parcel(*kept) for kept in self._parcels or ()):
            batch.append(parcel)
            runs, characters = runs + parcel.size, characters + parcel.characters
            if runs >= _RUNS_AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
                yield batch
                batch, runs, characters = [], 0, 0
        if batch:
            yield batch


def post(parcels: Spool, *, using: str) -> None:
    """Push the parcels after the commit of this database's transaction; at once outside of one.

    Raises `BrokerUnavailable` only outside of one, and only for runs that are not durable.
    """
    connection = transaction.get_connection(using)
    outbox = _joinable(connection)
    if outbox is not None:
        outbox.take(parcels)
        return
    outbox = Outbox(connection)
    outbox.take(parcels)
    transaction.on_commit(outbox, using=using)


def is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether there is a transaction that is not a test's own wrapping, which never commits.

    Django's `TestCase` and pytest-django's `db` wrap each test so.
    """
    return not all(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def _joinable(connection: BaseDatabaseWrapper) -> Outbox | None:
    """The outbox that was handed to Django last, if it shares the fate of what is asked for now."""
    if not connection.in_atomic_block or not connection.run_on_commit:
        return None
    savepoints, function, *_ = connection.run_on_commit[-1]
    if not isinstance(function, Outbox):
        return None
    # Released savepoints roll back with what is around them; one that is open here and not there can do it alone.
    shares_its_fate = set(connection.savepoint_ids) <= savepoints
    # Django's tests look at what was handed over since they began to look.
    wrapped = any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
    return function if shares_its_fate and not wrapped else None


def _tell(parcels: Iterable[Parcel], error: str) -> None:
    counts: dict[tuple[str, bool], int] = {}
    firsts: dict[tuple[str, bool], str] = {}
    for parcel in parcels:
        key = parcel.name, parcel.durable
        counts[key] = counts.get(key, 0) + parcel.size
        firsts.setdefault(key, parcel.runs[0])
    for (job, durable), count in counts.items():
        facts = {"job": job, "count": count, "run": firsts[job, durable], "error": error}
        if durable:
            logger.warning("push failed; the relay will push when Redis is back", extra=facts)
        else:
            logger.error("push failed; runs that are not durable are lost", extra=facts)

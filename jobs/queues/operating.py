"""What people do with queues: pause, resume and clear them. Redis hears of a pause after the commit."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial
from typing import Any

from django.db import IntegrityError, router, transaction
from django.utils import timezone

from jobs import audit, bulk, conf, registry
from jobs.broker import inspect
from jobs.errors import NotClearable, NotPausable, NotResumable, UnknownQueue, did_you_mean
from jobs.models import BulkAction, QueuePause
from jobs.models.bulk import BulkVerb
from jobs.policy.redaction import mask_text
from jobs.queues.tending import tell

logger = logging.getLogger(__name__)

# What has no row is not in reach of a bulk action.
UNRECORDED = "jobs.clear_unrecorded"


def check(queue: str) -> None:
    """Raise `UnknownQueue` for one that `RQ_QUEUES` does not have."""
    known = conf.queue_names()
    if queue not in known:
        raise UnknownQueue(f'There is no queue "{queue}".{did_you_mean(queue, known)} Name one of {known}.')


def pause(queue: str, *, until: datetime | None = None, reason: str, actor: str, address: str = "") -> QueuePause:
    """Let nothing of a queue start, until somebody resumes it or `until` has come. What runs goes on.

    Raises `NotPausable` when it is paused already, or `until` is over, and `UnknownQueue`. Redis is told after the
    commit, and later if it is away.
    """
    check(queue)
    if not reason.strip():
        raise NotPausable("Say why: whoever finds the queue standing will want to know.")
    now = timezone.now()
    if until is not None and until <= now:
        raise NotPausable(f"{until:%Y-%m-%d %H:%M} is over. Name a time to come, or none.")
    row = QueuePause(queue=queue, reason=mask_text(reason)[:500], actor=actor[:200], paused_at=now, until=until)
    using = router.db_for_write(QueuePause)
    try:
        with transaction.atomic(using=using):
            row.save(force_insert=True)
            _record("pause_queue", queue, reason=reason, actor=actor, address=address, after=_facts(row))
    except IntegrityError as error:
        there = QueuePause.objects.filter(queue=queue, resumed_at__isnull=True).first()
        by = f" by {there.actor}, since {there.paused_at:%Y-%m-%d %H:%M} UTC: {there.reason}" if there else ""
        raise NotPausable(f"{queue} is paused already{by}.") from error
    transaction.on_commit(partial(tell, [queue]), using=using)
    logger.info("%s is paused: %s", queue, row.reason, extra={"queue": queue, "actor": actor})
    return row


def resume(queue: str, *, actor: str, reason: str = "", address: str = "") -> None:
    """Let a queue go on: its first run starts within a second where a worker is free.

    Raises `NotResumable` when it is not paused.
    """
    using = router.db_for_write(QueuePause)
    with transaction.atomic(using=using):
        row = QueuePause.objects.select_for_update().filter(queue=queue, resumed_at__isnull=True).first()
        if row is None:
            raise NotResumable(f"{queue} is not paused.")
        row.resumed_at, row.resumed_by = timezone.now(), actor[:200]
        row.save(update_fields=["resumed_at", "resumed_by"])
        _record("resume_queue", queue, reason=reason, actor=actor, address=address, before=_facts(row))
    transaction.on_commit(partial(tell, [queue]), using=using)
    logger.info("%s goes on", queue, extra={"queue": queue, "actor": actor})


def clear(
    queue: str, *, typed: str, reason: str, actor: str, address: str = "", key: str = ""
) -> tuple[BulkAction, bool]:
    """Discard all that waits in a queue now, in the background; what comes later stays, and what runs goes on.

    `typed` is the queue's name once more. With the bulk action comes whether it is new, as of `bulk.ask`. It can be
    undone for `JOBS["UNDO_DAYS"]`. Raises `NotClearable`, `UnknownQueue`, and `BrokerUnavailable` where Redis is away.
    """
    check(queue)
    if typed != queue:
        raise NotClearable(f'Type "{queue}" to clear that queue: it says "{typed}".')
    if not reason.strip():
        raise NotClearable("Say why: whoever misses these runs will want to know.")
    inspect.ping()
    with transaction.atomic(using=router.db_for_write(BulkAction)):
        selection = bulk.Selection({"queue": queue})
        action, is_new = bulk.ask(BulkVerb.CLEAR, selection, actor=actor, reason=reason, address=address, key=key)
        if is_new:
            # By name, for it is defined above us.
            job = registry.get(UNRECORDED).using(queue=bulk.queue_for_itself())
            job.enqueue(queue, timezone.now().isoformat(), mask_text(actor)[:200], mask_text(reason)[:500])
    return action, is_new


def _record(action: str, queue: str, **words: Any) -> None:
    audit.record(action=action, target=f"queue {queue}", **words)


def _facts(row: QueuePause) -> dict[str, Any]:
    return {"reason": row.reason, "until": row.until.isoformat() if row.until else None}

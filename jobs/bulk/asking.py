"""The verbs for bulk actions: ask for one, pause, resume and stop it. Each leaves an audit row."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, router, transaction
from django.utils import timezone

from jobs import audit, conf, registry
from jobs.bulk import selections
from jobs.bulk.selections import Selection
from jobs.errors import JobsError
from jobs.models import BulkAction, QueuePause
from jobs.models.bulk import OPEN_STATES, RESUMABLE_STATES, BulkState, BulkVerb
from jobs.policy.ramp import Ramp

JOB = "jobs.run_bulk"
# An open action that nobody has looked at for so long has lost its run.
_FORGOTTEN = timedelta(seconds=60)


class BadBulk(JobsError):
    """The bulk action cannot do that now."""


def ask(
    verb: BulkVerb,
    selection: Selection,
    *,
    actor: str,
    reason: str = "",
    address: str = "",
    ramp: Ramp | None = None,
    limit: int | None = None,
    up_to: Any = None,
    key: str = "",
) -> tuple[BulkAction, bool]:
    """Ask for one verb on all that the selection means now, up to row `up_to`, oldest first.

    With the action comes whether it is new: an equal `key` gives the one that was asked for with it before.
    """
    ramp = ramp or Ramp()
    if ramp.canary and verb != BulkVerb.REQUEUE:
        raise BadBulk(f"A canary tells nothing of {verb.label}: only what is retried can fail again.")
    now = timezone.now()
    limit = min(limit or conf.get().BULK_LIMIT, conf.get().BULK_LIMIT)
    action = BulkAction(
        verb=verb.value,
        state=BulkState.ASKED.value,
        key=key or uuid.uuid4().hex,
        selection=selection.stored(now=now),
        up_to=str(up_to) if up_to is not None else selections.newest(verb),
        canary=ramp.canary,
        rate=ramp.rate,
        max_failures=ramp.max_failures,
        max_wait=ramp.max_wait,
        # The first second's worth goes at once.
        tokens=ramp.rate or 0.0,
        actor=actor[:200],
        reason=reason[:500],
        address=address[:100],
        touched_at=now,
    )
    try:
        with transaction.atomic(using=router.db_for_write(BulkAction)):
            action.total = selections.rows(action)[:limit].count()
            action.save(force_insert=True)
            _record(action, "ask", actor=actor, reason=reason, address=address)
            _enqueue(action)
    except IntegrityError:
        return BulkAction.objects.get(key=action.key), False
    return action, True


def pause(action: BulkAction, *, actor: str, reason: str = "", address: str = "") -> None:
    """Let it rest where it is. Raises `BadBulk` when it does not go on by itself."""
    _change(action, "pause", OPEN_STATES, _paused, actor=actor, reason=reason, address=address)


def stop(action: BulkAction, *, actor: str, reason: str = "", address: str = "") -> None:
    """End it where it is; it can be resumed, with a new canary. Raises `BadBulk` when it has ended."""
    states = (*OPEN_STATES, BulkState.PAUSED)
    _change(action, "stop", states, _stopped, actor=actor, reason=reason, address=address)


def resume(action: BulkAction, *, actor: str, reason: str = "", address: str = "") -> None:
    """Go on where it stopped. What was stopped begins with a canary again. Raises `BadBulk` when it does not rest."""
    _change(action, "resume", RESUMABLE_STATES, _resumed, actor=actor, reason=reason, address=address)


def revive() -> int:
    """Enqueue the runs of open actions that lost theirs. Returns how many there were."""
    forgotten = BulkAction.objects.filter(state__in=OPEN_STATES, touched_at__lt=timezone.now() - _FORGOTTEN)
    count = 0
    for action in forgotten.defer("selection"):
        with transaction.atomic(using=router.db_for_write(BulkAction)):
            BulkAction.objects.filter(pk=action.pk).update(touched_at=timezone.now())
            _enqueue(action)
        count += 1
    return count


def _change(
    action: BulkAction,
    word: str,
    states: tuple[BulkState, ...],
    change: Callable[[BulkAction, str, str], None],
    *,
    actor: str,
    reason: str,
    address: str,
) -> None:
    with transaction.atomic(using=router.db_for_write(BulkAction)):
        locked = BulkAction.objects.select_for_update().get(pk=action.pk)
        if locked.state not in states:
            raise BadBulk(f"Bulk action {locked.pk} is {locked.get_state_display()}: there is nothing to {word}.")
        before = locked.state
        change(locked, actor, reason)
        locked.touched_at = timezone.now()
        locked.save()
        _record(locked, word, actor=actor, reason=reason, address=address, before=before)
        if locked.is_open:
            _enqueue(locked)


def _paused(action: BulkAction, actor: str, reason: str) -> None:
    action.state = BulkState.PAUSED
    action.why = _by(actor, reason)


def _stopped(action: BulkAction, actor: str, reason: str) -> None:
    action.state = BulkState.STOPPED
    action.why = _by(actor, reason)
    action.ended_at = timezone.now()


def _resumed(action: BulkAction, actor: str, reason: str) -> None:
    if action.state == BulkState.STOPPED:
        # Whatever stopped it may not be over: the first of the rest are a canary, judged by themselves.
        action.step = action.left_in_step = 0
        action.watched_from = action.cursor
    ramping = action.step > action.canary or (action.step and not action.canary)
    action.state = BulkState.RAMPING if ramping else BulkState.CANARY if action.step else BulkState.ASKED
    action.why = ""
    action.ended_at = None
    # The run of before may not have come to its end yet, or not have been recorded: it must not be in the way.
    action.round += 1


def _by(actor: str, reason: str) -> str:
    return f"{actor}: {reason}"[:500] if reason else f"by {actor}"[:500]


def _record(action: BulkAction, word: str, *, actor: str, reason: str, address: str, before: str | None = None) -> None:
    audit.record(
        actor=actor,
        action=f"bulk {action.verb} {word}",
        target=f"bulk action {action.pk}",
        reason=reason,
        count=action.total,
        filter=selections.told_of(action),
        before={"state": before} if before else None,
        after={"state": action.state},
        address=address,
    )


def _enqueue(action: BulkAction) -> None:
    # By name, for it is defined above us; unique, so that a second one is none.
    registry.get(JOB).using(queue=queue_for_itself()).enqueue(action.pk, action.round)


def queue_for_itself() -> str:
    """Where bulk actions' own runs go now: another queue while theirs is paused, or they would wait for its end."""
    wanted = conf.bulk_queue()
    paused = set(QueuePause.objects.filter(resumed_at__isnull=True).values_list("queue", flat=True))
    others = (queue for queue in conf.queue_names() if queue not in paused)
    return next(others, wanted) if wanted in paused else wanted

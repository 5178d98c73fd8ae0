"""A bulk action goes on, one turn at a time: look, decide, and let some go. Who calls it decides how to wait.

A chunk, its audit row and the action's cursor change in one transaction, under the lock of the action's row. So a
process that dies in mid-turn has done all of the chunk or none, and two that take turns at once never do one twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import router, transaction
from django.utils import timezone

from jobs import audit
from jobs.bulk import cohorts, selections
from jobs.bulk.cohorts import Watched
from jobs.models import BulkAction
from jobs.models.bulk import OPEN_STATES, BulkState, BulkVerb
from jobs.policy.ramp import Cohort, Finish, Place, Ramp, Release, Signs, Stop, Wait, decide

logger = logging.getLogger(__name__)

# How often an action that only waits says that it is alive.
_TOUCH = timedelta(seconds=10)
# A cohort of which nothing more is heard for so long is not waited for any more.
_PATIENCE = timedelta(minutes=30)
# When all have gone, nothing more depends on how the last ones fare.
_LAST_PATIENCE = timedelta(minutes=1)
_GONE = "dealt with by somebody else meanwhile"


def turn(pk: int) -> float | None:
    """Let some go, or find out why not. Returns after how many seconds to come again; None when it is over.

    Raises `BrokerUnavailable`, or a database's error, and may be called again after either.
    """
    action = BulkAction.objects.filter(pk=pk).first()
    if action is None or not action.is_open:
        return None
    now = timezone.now()
    ramp = ramp_of(action)
    # What is discarded or cancelled can fail no more.
    is_watched = ramp.is_watched and action.verb == BulkVerb.REQUEUE
    watched = cohorts.watch(action) if is_watched else Watched(Cohort(), Signs())
    allowance = ramp.allowance(action.tokens, _elapsed(action, now))
    place = Place(action.step, action.left_in_step, max(0, action.total - action.looked))
    following = decide(ramp, place, watched.cohort, watched.signs, allowance=allowance)
    if isinstance(following, Release):
        _let_go(action, following, allowance=allowance, now=now)
        return 0.0
    if isinstance(following, Wait):
        return _wait(action, following, watched.cohort, now=now)
    if isinstance(following, Stop):
        _end(action, BulkState.STOPPED, following.why)
    if isinstance(following, Finish):
        _end(action, BulkState.FINISHED, "")
    return None


def is_open(pk: int, round: int) -> bool:
    """Whether the action goes on by itself, in this round."""
    return BulkAction.objects.filter(pk=pk, round=round, state__in=OPEN_STATES).exists()


def work(pk: int, *, rest: Callable[[float], bool], tell: Callable[[], object]) -> None:
    """Take turns until the action is over, in this thread. `rest` waits so many seconds, and says whether to end."""
    while (seconds := turn(pk)) is not None:
        tell()
        if rest(seconds):
            return


def ramp_of(action: BulkAction) -> Ramp:
    """How fast the action may go."""
    return Ramp(action.canary, action.rate, action.max_failures, action.max_wait)


def _place_of(action: BulkAction) -> tuple[int, str, datetime | None]:
    """What changes whenever somebody else took a turn, or it was resumed, with a canary of its own."""
    return action.round, action.cursor, action.released_at


def _elapsed(action: BulkAction, now: datetime) -> float:
    return (now - action.released_at).total_seconds() if action.released_at else 0.0


def _let_go(action: BulkAction, release: Release, *, allowance: float, now: datetime) -> None:
    with transaction.atomic(using=router.db_for_write(BulkAction)):
        locked = BulkAction.objects.select_for_update().get(pk=action.pk)
        if not locked.is_open or _place_of(locked) != _place_of(action):
            return
        keys = list(selections.rows(locked).values_list("pk", flat=True)[: release.count])
        left = Counter(locked.left)
        done = 0
        if keys:
            tally = selections.act(locked, keys)
            done, locked.cursor = tally.done, str(keys[-1])
            left += tally.left
        else:
            left[_GONE] += locked.total - locked.looked
        locked.left = dict(left)
        locked.done += done
        locked.step = release.step
        # Who was left alone tells nothing of how the others will fare.
        locked.left_in_step = release.left + release.count - done
        locked.tokens = max(0.0, allowance - done) if locked.rate else 0.0
        locked.released_at = locked.touched_at = now
        locked.started_at = locked.started_at or now
        locked.state = BulkState.CANARY if locked.canary and locked.step <= locked.canary else BulkState.RAMPING
        locked.save()


def _wait(action: BulkAction, wait: Wait, cohort: Cohort, *, now: datetime) -> float | None:
    is_last = action.looked >= action.total
    patience = _LAST_PATIENCE if is_last else _PATIENCE
    if action.released_at and cohort.waiting and now - action.released_at > patience:
        why = f"{cohort.waiting} of those that went have not come to an end"
        _end(action, BulkState.FINISHED if is_last else BulkState.STOPPED, f"{why} within {_minutes(patience)}")
        return None
    if not action.touched_at or now - action.touched_at > _TOUCH:
        BulkAction.objects.filter(pk=action.pk).update(touched_at=now)
    return wait.seconds


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.0f} min"


def _end(action: BulkAction, state: BulkState, why: str) -> None:
    with transaction.atomic(using=router.db_for_write(BulkAction)):
        mine = BulkAction.objects.filter(pk=action.pk, state__in=OPEN_STATES, round=action.round)
        if not mine.filter(released_at=action.released_at).update(state=state, why=why[:500], ended_at=timezone.now()):
            return
        if state == BulkState.STOPPED:
            audit.record(
                actor=f"bulk action {action.pk}",
                action=f"bulk {action.verb} stop",
                target=f"bulk action {action.pk}",
                reason=why,
                count=max(0, action.total - action.looked),
                before={"state": action.state},
                after={"state": state.value},
            )
    log = logger.warning if state == BulkState.STOPPED else logger.info
    log("bulk action %d %s%s", action.pk, state.value, f": {why}" if why else "", extra={"bulk": action.pk})

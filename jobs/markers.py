"""What may happen once: a marker is claimed, the call is made, and the marker says that it was done.

1. Claimed. Of two that come at once, one goes on and the other is told to come back later.
2. Called, by whoever claimed. A crash from here on, before 3, leaves a claim of which nobody knows what came of it:
   a doubt. What follows is chosen by who calls: again, ask a person, or look it up.
3. Done. Whoever comes later is told so, until the marker's life is over.

`effects` and `emails` stand on this. It knows neither, and makes no call itself.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar, cast

from django.db import Error, InterfaceError, OperationalError, connections, router, transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from jobs import audit, conf, failpoints, outbox
from jobs.context import current_run_id, current_run_or_none
from jobs.errors import BadOptions, HandBackJob, JobsError, NeedsAPerson, NotReleasable, PutOffJob
from jobs.models.markers import CLAIMED, Marker

logger = logging.getLogger(__name__)

Doubt = Literal["again", "ask", "look up"]
M = TypeVar("M", bound=Marker)
T = TypeVar("T")

# What an attempt may take to end after its time limit struck.
_GRACE = timedelta(seconds=10)
_LOOK_AGAIN_SECONDS = 0.5
# Who meets a claim that is held comes back within this: the call is most likely done by then.
_COME_BACK_SECONDS = 5.0


@dataclass(frozen=True)
class Deed(Generic[M]):
    """Something that may happen once, and what was chosen for it.

    `held` is how long a claim is held, None for as long as its attempt may take. `asks` is what a person is asked by.
    """

    model: type[M]
    identity: dict[str, Any]
    words: str
    in_doubt: Doubt
    asks: type[NeedsAPerson]
    lasting: timedelta | None = None
    held: timedelta | None = None

    @property
    def rows(self) -> QuerySet[M]:
        return self.model._default_manager.filter(**self.identity)


@dataclass(frozen=True)
class Claim(Generic[M]):
    """A marker that this call has claimed, or that is done. `is_doubtful`: an earlier claim was left behind."""

    marker: M
    is_doubtful: bool = False


def check(model: type[Marker], *, name: str, lasting: timedelta | None) -> None:
    """Raises `BadOptions` for a life that cannot be, and `JobsError` inside a transaction."""
    if lasting is not None and not (isinstance(lasting, timedelta) and lasting > timedelta(0)):
        raise BadOptions(f"{name}: lasting={lasting!r}: pass a timedelta above 0, such as timedelta(hours=24)")
    if outbox.is_in_transaction(connections[_database(model)]):
        raise JobsError(
            f"{name} was called inside a transaction, whose rollback would forget what has happened. "
            "Call it before or after the block, or enqueue a job that calls it. What is only in the database needs a "
            "row of its own instead."
        )


def doubt(name: str, in_doubt: str | None, look_up: Callable[[], object] | None, *, again: str) -> Doubt:
    """What was chosen for a doubt: `again` is how this kind calls that. Raises `BadOptions`."""
    chosen = in_doubt or (again if look_up is None else "look up")
    if chosen not in (again, "ask", "look up"):
        raise BadOptions(f'{name}: in_doubt={in_doubt!r}: pass "{again}", "ask", or "look up" with look_up=')
    if (chosen == "look up") != (look_up is not None):
        raise BadOptions(f'{name}: in_doubt="look up" and look_up= go together: pass both, or look_up= alone')
    return "again" if chosen == again else cast(Doubt, chosen)


def claim(deed: Deed[M]) -> Claim[M]:
    """The deed's marker, claimed by this call or done.

    Raises `PutOffJob` while another run is at it, and what the deed `asks` by where a person was chosen.
    """
    now = timezone.now()
    marker, created = deed.model._default_manager.get_or_create(**deed.identity, defaults=_claim_facts(deed, now))
    if created or (marker.is_done and not marker.is_over(now)):
        return Claim(marker)
    if marker.is_done:
        return Claim(_take_over(deed, marker, now))
    if _is_robbed_of(marker):
        _wait_for_earlier_attempt(marker)
        if not _as_it_was(marker).exists():
            return claim(deed)
        now = timezone.now()
    _check_left_behind(deed, marker, now)
    if deed.in_doubt == "ask":
        raise deed.asks(
            f"{deed.words} was begun at {marker.claimed_at:%Y-%m-%d %H:%M:%S} and nobody knows whether it happened. "
            "Look there, say what came of it in the admin (release it, or mark it as done), and retry the run."
        )
    return Claim(_take_over(deed, marker, now), is_doubtful=True)


def done(deed: Deed[M], marker: M, facts: dict[str, Any]) -> M:
    """Say that it was done, and what is known of it; gives the marker as everybody will find it.

    Of two that called because one was given up too early, what the first says stays.
    """
    if failpoints.armed:
        failpoints.reach("after_effect")
    facts = facts | _done_facts(deed.model, deed.lasting)
    if persisted(deed.model, lambda: deed.rows.filter(state=CLAIMED).update(**facts)):
        return deed.model(**deed.identity, **facts)
    logger.warning("%s was made by another run meanwhile", deed.words)
    missing = {**_claim_facts(deed, marker.claimed_at), **facts}
    return deed.model._default_manager.get_or_create(**deed.identity, defaults=missing)[0]


def let_go(deed: Deed[M], marker: M) -> None:
    """Drop a claim of this call's: it did not happen."""
    # What the call raised says more than a database that is away; the claim is then left to the next attempt.
    with contextlib.suppress(Error):
        deed.rows.filter(state=CLAIMED, claimed_at=marker.claimed_at).delete()


def release(marker: Marker, *, actor: str, reason: str, address: str = "", force: bool = False) -> None:
    """Delete a marker as it was read, so that it may happen again. What was done before is not undone.

    Raises `NotReleasable` when it has changed since, or, without `force`, while a run may be at it.
    """
    with transaction.atomic(using=_database(type(marker))):
        found = _locked(marker, force=force)
        found.delete()
        _record("release", marker, actor=actor, reason=reason, address=address, forced=_is_held(marker) and force)


def mark_done(
    marker: Marker, facts: dict[str, Any], *, actor: str, reason: str, address: str = "", force: bool = False
) -> None:
    """Say that what was claimed did happen: it is not made again. `facts` are what is known of it.

    Raises `NotReleasable` as `release` does.
    """
    with transaction.atomic(using=_database(type(marker))):
        found = _locked(marker, force=force)
        for field, value in {**facts, **_done_facts(type(marker), None)}.items():
            setattr(found, field, value)
        found.save()
        _record("mark done", marker, actor=actor, reason=reason, address=address, forced=_is_held(marker) and force)


def expired(model: type[M]) -> QuerySet[M]:
    """The markers whose life is over, for whoever deletes them."""
    return model._default_manager.filter(expires_at__lt=timezone.now()).order_by("expires_at")


def _locked(marker: M, *, force: bool) -> M:
    found = _as_it_was(marker).select_for_update().first()
    if found is None:
        raise NotReleasable(f"{marker} has changed since you looked. Look again.")
    if _is_held(found) and not force:
        raise NotReleasable(
            f"{marker} is held until {found.held_until:%Y-%m-%d %H:%M:%S}: a run may be at it. "
            "Wait for its end, or force it."
        )
    return found


def _is_held(marker: Marker) -> bool:
    return not marker.is_done and not marker.is_in_doubt(timezone.now())


def _record(verb: str, marker: Marker, *, actor: str, reason: str, address: str, forced: bool) -> None:
    before = {"state": str(marker.state), "claimed_at": marker.claimed_at.isoformat(), "forced": forced}
    name = type(marker)._meta.verbose_name
    target = " ".join(str(value) for value in marker.identity.values())
    audit.record(
        actor=actor, action=f"{verb} {name}"[:50], target=target, reason=reason, before=before, address=address
    )


def _is_robbed_of(marker: Marker) -> bool:
    """Whether an earlier attempt of this run claimed it, and may still be at it."""
    run = current_run_or_none()
    return run is not None and run.robbed and marker.run is not None and marker.run == current_run_id()


def _wait_for_earlier_attempt(marker: Marker) -> None:
    """Return when that has ended it, or its time limit must have struck.

    Raises `HandBackJob` when this attempt should end before.
    """
    run = current_run_or_none()
    while timezone.now() < marker.held_until and _as_it_was(marker).exists():
        if run is not None and run.stopping():
            raise HandBackJob
        time.sleep(_LOOK_AGAIN_SECONDS)


def _as_it_was(marker: M) -> QuerySet[M]:
    rows = type(marker)._default_manager.filter(pk=marker.pk)
    return rows.filter(state=marker.state, claimed_at=marker.claimed_at)


def _check_left_behind(deed: Deed[M], marker: M, now: datetime) -> None:
    # Nobody is at an earlier claim of this run: its end was seen, or waited for.
    same_run = marker.run is not None and marker.run == current_run_id()
    if not same_run and now < marker.held_until:
        left = (marker.held_until - now).total_seconds()
        raise PutOffJob(min(left, _COME_BACK_SECONDS), f"another run is at {_within(deed.words)}")


def _take_over(deed: Deed[M], marker: M, now: datetime) -> M:
    facts = deed.model.undone() | _claim_facts(deed, now)
    if not _as_it_was(marker).update(**facts):
        raise PutOffJob(_COME_BACK_SECONDS, f"another run has just begun with {_within(deed.words)}")
    for field, value in facts.items():
        setattr(marker, field, value)
    return marker


def _claim_facts(deed: Deed[Any], now: datetime) -> dict[str, Any]:
    return {"run": current_run_id(), "claimed_at": now, "held_until": now + (deed.held or _attempt_time())}


def _attempt_time() -> timedelta:
    run = current_run_or_none()
    seconds = conf.get().DEFAULT_TIMEOUT if run is None else max(0.0, run.seconds_left())
    return timedelta(seconds=seconds) + _GRACE


def _done_facts(model: type[Marker], lasting: timedelta | None) -> dict[str, Any]:
    now = timezone.now()
    return {"state": model.DONE, model.DONE_AT: now, "expires_at": None if lasting is None else now + lasting}


def persisted(model: type[Model], write: Callable[[], T]) -> T:
    """Write what has happened; once more on a new connection, where the old one broke during the call."""
    try:
        return write()
    except (OperationalError, InterfaceError):
        connection = connections[_database(model)]
        if connection.in_atomic_block:
            raise
        connection.close()
        return write()


def _database(model: type[Model]) -> str:
    return router.db_for_write(model)


def _within(words: str) -> str:
    """The words of a deed, which begin a sentence, inside of one."""
    return words[:1].lower() + words[1:]

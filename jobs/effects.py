"""Outside effects that happen once: a key is claimed, the call is made, and its result is stored for every retry.

1. Claimed. Of two that come at once, one calls and the other is told to come back later.
2. Called. A crash from here on, before 3, leaves a claim of which nobody knows whether the call took effect.
   `in_doubt` chooses what happens then: `"call"` calls again, `"ask"` raises `EffectInDoubt`, so that a person looks.
3. Done. Whoever comes with this key gets the stored result, and nothing is called.

What belongs to the database needs none of this: change it in one transaction with a row of your own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from django.db import Error, InterfaceError, OperationalError, connections, router, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from jobs import audit, conf, outbox
from jobs.context import current_run_id, current_run_or_none
from jobs.errors import ArgumentsNotJSON, BadOptions, EffectInDoubt, EffectNotKept, HandBackJob, JobsError, RetryLater
from jobs.models import Effect, JobRun
from jobs.models.effects import EffectState
from jobs.models.pruning import delete_in_chunks
from jobs.policy import arguments as job_arguments

logger = logging.getLogger(__name__)

InDoubt = Literal["call", "ask"]
T = TypeVar("T")

_LONGEST_KEY = 200
# What an attempt may take to end after its time limit struck.
_GRACE = timedelta(seconds=10)
_LOOK_AGAIN_SECONDS = 0.5


def once(
    key: str,
    call: Callable[[], Any],
    *,
    in_doubt: InDoubt = "call",
    not_done: type[Exception] | tuple[type[Exception], ...] = (),
) -> Any:
    """What `call()` gave: made now, or stored when it was made for this key. The result is plain JSON.

        key = f"refund-{payment.pk}"
        refund = once(key, lambda: gateway.refund(payment.charge_id, idempotency_key=key))

    `call` says by raising that it did not succeed; then the key is let go, and the next attempt calls again. With
    `in_doubt="ask"` that needs more than an error, for a call that was cut off may have taken effect: only the
    classes of `not_done` let the key go, and others leave it in doubt.

    Raises `RetryLater` while another run is at it, `EffectInDoubt` as chosen, `EffectNotKept` when `call` gave what
    is not plain JSON (it is not made again then), and what `call` raises. Call it outside a transaction: a rollback
    would forget what has happened.
    """
    _check(key, in_doubt)
    effect = _claim(key, in_doubt)
    if effect.state == EffectState.DONE:
        return _result_of(effect)
    try:
        result = call()
    except Exception as error:
        if in_doubt == "call" or isinstance(error, not_done):
            _let_go(effect)
        raise
    return _store(effect, result)


def remember(key: str, result: Any, *, actor: str, reason: str = "") -> None:
    """Say what came of an effect that is in doubt, or whose result could not be kept: it is not made again.

    `actor` is who says so, for the audit. Raises `ArgumentsNotJSON`.
    """
    facts = _done(_as_json(key, result))
    with transaction.atomic(using=_database()):
        Effect.objects.update_or_create(
            key=key, defaults=facts, create_defaults=facts | _claim_facts(timezone.now()) | {"key": key}
        )
        audit.record(actor=actor, action="remember effect", target=key, reason=reason)


def forget(key: str, *, actor: str, reason: str = "") -> bool:
    """Let the effect of this key be made again; False when there is none. `actor` is who says so, for the audit."""
    with transaction.atomic(using=_database()):
        deleted, _ = Effect.objects.filter(key=key).delete()
        if deleted:
            audit.record(actor=actor, action="forget effect", target=key, reason=reason)
    return bool(deleted)


def prune() -> int:
    """Delete done effects that nobody can ask for again, in chunks. Returns how many.

    That is when the run that made it is gone, and the longest of `JOBS["KEEP_DAYS"]` has passed. What is in doubt
    stays until a person says what came of it.
    """
    return delete_in_chunks(_prunable())


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[Effect]:
    before = timezone.now() - timedelta(days=max(conf.keep_days().values()))
    its_run = JobRun.objects.filter(pk=OuterRef("run"))
    return Effect.objects.filter(~Exists(its_run), done_at__lt=before).order_by("done_at")


def _check(key: str, in_doubt: InDoubt) -> None:
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise BadOptions(f"effects.once: key={key!r}: pass a text of 1 to {_LONGEST_KEY} characters")
    if in_doubt not in ("call", "ask"):
        raise BadOptions(f'effects.once: in_doubt={in_doubt!r}: pass "call" or "ask"')
    if outbox.is_in_transaction(connections[_database()]):
        raise JobsError(
            "effects.once was called inside a transaction, whose rollback would forget an effect that happened. "
            "Call it before or after the block. What is only in the database needs a row of its own instead."
        )


def _claim(key: str, in_doubt: InDoubt) -> Effect:
    """The effect, claimed by this call, or done."""
    now = timezone.now()
    effect, created = Effect.objects.get_or_create(key=key, defaults=_claim_facts(now))
    if created or effect.state == EffectState.DONE:
        return effect
    if _is_robbed_of(effect):
        _wait_for_earlier_attempt(effect)
        if not _is_as_it_was(effect):
            return _claim(key, in_doubt)
        now = timezone.now()
    _check_left_behind(effect, now)
    if in_doubt == "ask":
        raise EffectInDoubt(
            f'The effect "{key}" was begun at {effect.claimed_at:%Y-%m-%d %H:%M:%S} and nobody knows whether it '
            "happened. Look there, then say what came of it with jobs.effects.remember or jobs.effects.forget."
        )
    return _take_over(effect, now)


def _is_robbed_of(effect: Effect) -> bool:
    """Whether an earlier attempt of this run claimed it, and may still be at it."""
    run = current_run_or_none()
    return run is not None and run.robbed and effect.run is not None and effect.run == current_run_id()


def _wait_for_earlier_attempt(effect: Effect) -> None:
    """Return when that has ended the effect, or its time limit must have struck.

    Raises `HandBackJob` when this attempt should end before.
    """
    run = current_run_or_none()
    while timezone.now() < effect.held_until and _is_as_it_was(effect):
        if run is not None and run.stopping():
            raise HandBackJob
        time.sleep(_LOOK_AGAIN_SECONDS)


def _is_as_it_was(effect: Effect) -> bool:
    same = Effect.objects.filter(pk=effect.pk, state=EffectState.CLAIMED, claimed_at=effect.claimed_at)
    return same.exists()


def _check_left_behind(effect: Effect, now: datetime) -> None:
    # Nobody is at an earlier claim of this run: its end was seen, or waited for.
    same_run = effect.run is not None and effect.run == current_run_id()
    if not same_run and now < effect.held_until:
        raise RetryLater((effect.held_until - now).total_seconds(), f"another run is at the effect {effect.key}")


def _take_over(effect: Effect, now: datetime) -> Effect:
    facts = _claim_facts(now)
    ours = Effect.objects.filter(pk=effect.pk, state=EffectState.CLAIMED, claimed_at=effect.claimed_at)
    if not ours.update(**facts):
        wait = facts["held_until"] - now
        raise RetryLater(wait.total_seconds(), f"another run has just begun with the effect {effect.key}")
    effect.claimed_at = now
    return effect


def _claim_facts(now: datetime) -> dict[str, Any]:
    run = current_run_or_none()
    seconds = conf.get().DEFAULT_TIMEOUT if run is None else max(0.0, run.seconds_left())
    return {"run": current_run_id(), "claimed_at": now, "held_until": now + timedelta(seconds=seconds) + _GRACE}


def _let_go(effect: Effect) -> None:
    # What the call raised says more than a database that is away; the claim is then left to the next attempt.
    with contextlib.suppress(Error):
        Effect.objects.filter(key=effect.key, state=EffectState.CLAIMED, claimed_at=effect.claimed_at).delete()


def _store(effect: Effect, result: Any) -> Any:
    """Keep what the call gave, and give it back as every later call will get it.

    Of two that called because one was given up too early, the first result stays.
    """
    try:
        facts = _done(_as_json(effect.key, result))
    except ArgumentsNotJSON as error:
        facts = _done(None) | {"problem": str(error)[:500]}
    ours = Effect.objects.filter(key=effect.key, state=EffectState.CLAIMED)
    if _persisted(lambda: ours.update(**facts)):
        return _result_of(Effect(key=effect.key, **facts))
    logger.warning("the effect %s was made by another run meanwhile", effect.key)
    missing = {**_claim_facts(effect.claimed_at), **facts}
    return _result_of(Effect.objects.get_or_create(key=effect.key, defaults=missing)[0])


def _persisted(write: Callable[[], T]) -> T:
    """Write what has happened; once more on a new connection, where the old one broke during the call."""
    try:
        return write()
    except (OperationalError, InterfaceError):
        connection = connections[_database()]
        if connection.in_atomic_block:
            raise
        connection.close()
        return write()


def _done(result: Any) -> dict[str, Any]:
    return {"state": EffectState.DONE, "result": result, "problem": "", "done_at": timezone.now()}


def _as_json(key: str, result: Any) -> Any:
    """The result as it will be read back: tuples are lists."""
    text = job_arguments.dump({"result": result}, name=f'effect "{key}"', limit=sys.maxsize)
    return json.loads(text)["result"]


def _result_of(effect: Effect) -> Any:
    if effect.problem:
        raise EffectNotKept(
            f"It happened, and is not made again, but what it gave could not be kept. {effect.problem} "
            f"Mend the call, and say what this one gave by jobs.effects.remember({effect.key!r}, …)."
        )
    return effect.result


def _database() -> str:
    return router.db_for_write(Effect)

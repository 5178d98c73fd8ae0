"""Outside effects that happen once: a key is claimed, the call is made, and its result is stored for every retry.

1. Claimed. Of two that come at once, one calls and the other is told to come back later.
2. Called. A crash from here on, before 3, leaves a claim of which nobody knows whether the call took effect.
   `in_doubt` chooses what happens then: `"call"` calls again, `"ask"` raises `EffectInDoubt`, so that a person looks,
   `"look up"` asks a function of yours.
3. Done. Whoever comes with this key gets the stored result, and nothing is called.

What belongs to the database needs none of this: change it in one transaction with a row of your own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

from django.db import router, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from jobs import audit, conf, markers
from jobs.errors import ArgumentsNotJSON, BadOptions, EffectInDoubt, EffectNotKept
from jobs.markers import Deed
from jobs.models import Effect, JobRun
from jobs.models.pruning import delete_in_chunks
from jobs.policy import arguments as job_arguments

InDoubt = Literal["call", "ask", "look up"]

_NAME = "effects.once"
_LONGEST_KEY = 200


def once(
    key: str,
    call: Callable[[], Any],
    *,
    in_doubt: InDoubt | None = None,
    look_up: Callable[[], Any] | None = None,
    lasting: timedelta | None = None,
    not_done: type[Exception] | tuple[type[Exception], ...] = (),
) -> Any:
    """What `call()` gave: made now, or stored when it was made for this key. The result is plain JSON.

        key = f"refund-{payment.pk}"
        refund = once(key, lambda: gateway.refund(payment.charge_id, idempotency_key=key))

    When an earlier call was cut off, `look_up()` gives what came of it, or None when it did not happen; then it is
    called. What `look_up` raises says that it cannot know, and the next attempt looks again. Without it,
    `in_doubt="call"`, the default, calls again, and `"ask"` raises `EffectInDoubt`.

    `call` says by raising that it did not succeed; then the key is let go, and the next attempt calls again. With
    `"ask"` or `"look up"` that needs more than an error, for a call that was cut off may have taken effect: only the
    classes of `not_done` let the key go, and others leave it in doubt.

    `lasting` is how long the result is kept; then the key may be used again. Without it that is as long as the run
    that made it is there, and the longest of `JOBS["KEEP_DAYS"]` at the least.

    Raises `PutOffJob` while another run is at it, `EffectInDoubt` as chosen, `EffectNotKept` when `call` gave what
    is not plain JSON (it is not made again then), and what `call` raises. Call it outside a transaction: a rollback
    would forget what has happened.
    """
    deed = _deed(key, in_doubt, look_up, lasting)
    claim = markers.claim(deed)
    if claim.marker.is_done:
        return _result_of(claim.marker)
    if claim.is_doubtful and look_up is not None and (found := look_up()) is not None:
        return _store(deed, claim.marker, found)
    try:
        result = call()
    except Exception as error:
        if deed.in_doubt == "again" or isinstance(error, not_done):
            markers.let_go(deed, claim.marker)
        raise
    return _store(deed, claim.marker, result)


def remember(key: str, result: Any, *, actor: str, reason: str = "") -> None:
    """Say what came of an effect that is in doubt, or whose result could not be kept: it is not made again.

    `actor` is who says so, for the audit. Raises `ArgumentsNotJSON`.
    """
    now = timezone.now()
    facts = {**known(key, result), "state": Effect.DONE, "done_at": now, "expires_at": None}
    with transaction.atomic(using=router.db_for_write(Effect)):
        claimed = {"key": key, "claimed_at": now, "held_until": now}
        Effect.objects.update_or_create(key=key, defaults=facts, create_defaults=facts | claimed)
        audit.record(actor=actor, action="remember effect", target=key, reason=reason)


def forget(key: str, *, actor: str, reason: str = "") -> bool:
    """Let the effect of this key be made again; False when there is none. `actor` is who says so, for the audit."""
    with transaction.atomic(using=router.db_for_write(Effect)):
        deleted, _ = Effect.objects.filter(key=key).delete()
        if deleted:
            audit.record(actor=actor, action="forget effect", target=key, reason=reason)
    return bool(deleted)


def known(key: str, result: Any) -> dict[str, Any]:
    """The facts of an effect that gave this, as it will be read back: tuples are lists. Raises `ArgumentsNotJSON`."""
    text = job_arguments.dump({"result": result}, name=f'effect "{key}"', limit=sys.maxsize)
    return {"result": json.loads(text)["result"], "problem": ""}


def prune() -> int:
    """Delete done effects that nobody can ask for again, in chunks. Returns how many.

    That is when their life is over; of those that have none, when the run that made it is gone, and the longest of
    `JOBS["KEEP_DAYS"]` has passed. What is in doubt stays until a person says what came of it.
    """
    return delete_in_chunks(markers.expired(Effect)) + delete_in_chunks(_unwanted())


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return markers.expired(Effect).exists() or _unwanted().exists()


def _unwanted() -> QuerySet[Effect]:
    before = timezone.now() - timedelta(days=max(conf.keep_days().values()))
    its_run = JobRun.objects.filter(pk=OuterRef("run"))
    unlimited = Q(expires_at__isnull=True)
    return Effect.objects.filter(~Exists(its_run), unlimited, done_at__lt=before).order_by("done_at")


def _deed(key: str, in_doubt: str | None, look_up: Callable[[], Any] | None, lasting: timedelta | None) -> Deed[Effect]:
    if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
        raise BadOptions(f"{_NAME}: key={key!r}: pass a text of 1 to {_LONGEST_KEY} characters")
    chosen = markers.doubt(_NAME, in_doubt, look_up, again="call")
    markers.check(Effect, name=_NAME, lasting=lasting)
    return Deed(Effect, {"key": key}, f'The effect "{key}"', chosen, EffectInDoubt, lasting)


def _store(deed: Deed[Effect], marker: Effect, result: Any) -> Any:
    """Keep what the call gave, and give it back as every later call will get it."""
    key = deed.identity["key"]
    try:
        facts = known(key, result)
    except ArgumentsNotJSON as error:
        facts = {"result": None, "problem": str(error)[:500]}
    return _result_of(markers.done(deed, marker, facts))


def _result_of(effect: Effect) -> Any:
    if effect.problem:
        raise EffectNotKept(
            f"It happened, and is not made again, but what it gave could not be kept. {effect.problem} "
            f"Mend the call, and say what this one gave by jobs.effects.remember({effect.key!r}, …)."
        )
    return effect.result

"""What people do with fuses: add and lift them. Redis hears of it after the commit."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, router, transaction
from django.utils import timezone

from jobs import audit, registry
from jobs.broker import fuses as copies
from jobs.errors import BadFuse, BrokerUnavailable, NotAddable, NotLiftable
from jobs.fuses.looking import conditions_of
from jobs.models import Fuse
from jobs.policy import fusing
from jobs.policy.fusing import Condition, Where
from jobs.policy.rates import parse_rate
from jobs.policy.redaction import mask_text
from jobs.signals import job_fused

logger = logging.getLogger(__name__)

# Each claim looks at all of them.
MOST = 100
# Who ended a fuse whose time was over.
EXPIRY = "expiry"


def add(
    job: str,
    *,
    action: str = fusing.HOLD,
    where: Where | None = None,
    rate: str = "",
    seconds: float = fusing.DEFAULT_SECONDS,
    reason: str,
    actor: str,
    address: str = "",
    by_rule: bool = False,
) -> Fuse:
    """Keep the runs of `job` from starting for so many seconds; `where` names arguments and their values.

    `action` is hold, slow (then `rate` says how many start, as "5/s" or "30/m") or discard. Runs that have started go
    on. Raises `BadFuse` or `UnknownJob`. Redis is told after the commit, and later if it is away.
    """
    where = dict(where or {})
    name = registry.full_name(job)
    fusing.check(action, rate=rate, seconds=seconds)
    conditions = conditions_of(name, where)
    if not reason.strip():
        raise BadFuse("Say why: whoever finds its runs waiting will want to know.")
    now = timezone.now()
    fuse = Fuse(
        name=name,
        where=where,
        where_key=_key_of(where),
        conditions=[asdict(one) for one in conditions],
        action=action,
        rate=rate,
        reason=mask_text(reason)[:500],
        actor=actor[:200],
        by_rule=by_rule,
        created_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    using = router.db_for_write(Fuse)
    try:
        with transaction.atomic(using=using):
            if Fuse.objects.filter(ended_at__isnull=True).count() >= MOST:
                raise NotAddable(f"There are {MOST} fuses already, and each claim looks at all. Lift some first.")
            fuse.save(force_insert=True)
            _record(fuse, "add_fuse", actor=actor, reason=reason, address=address, after=_facts(fuse))
    except IntegrityError as error:
        raise NotAddable(f"{name} has a fuse for these runs already. Lift that one first.") from error
    transaction.on_commit(partial(_tell_added, fuse), using=using)
    return fuse


def lift(fuse: Fuse, *, actor: str, reason: str = "", address: str = "") -> None:
    """End a fuse: what it holds starts again, in its order and before what came later.

    Raises `NotLiftable` when it has ended.
    """
    using = router.db_for_write(Fuse)
    with transaction.atomic(using=using):
        if not end(fuse, by=actor, reason=reason, address=address):
            raise NotLiftable(f"The fuse on {fuse.name} has ended already.")
    transaction.on_commit(partial(tell, [fuse]), using=using)


def end(fuse: Fuse, *, by: str, reason: str, address: str = "") -> bool:
    """End a fuse in the caller's transaction; False where it has ended already. Redis is not told."""
    now = timezone.now()
    if not Fuse.objects.filter(pk=fuse.pk, ended_at__isnull=True).update(ended_at=now, ended_by=by[:200]):
        return False
    fuse.ended_at, fuse.ended_by = now, by[:200]
    _record(fuse, "lift_fuse", actor=by, reason=reason, address=address, before=_facts(fuse))
    logger.info("a fuse on %s has ended: %s", fuse.name, by, extra={"job": fuse.name, "fuse": fuse.pk})
    return True


def tell(fuses: Iterable[Fuse]) -> None:
    """Tell Redis; if it cannot hear, `tend` tells it later."""
    try:
        copies.publish({fuse.pk: entry(fuse) for fuse in fuses})
    except BrokerUnavailable as error:
        logger.warning("Redis is told of a fuse once it answers again: %s", error)


def entry(fuse: Fuse) -> str:
    """What Redis is told of a fuse."""
    if fuse.ended_at is not None:
        is_to_discard = fuse.action == fusing.DISCARD and fuse.ended_by == EXPIRY
        return copies.OVER_DISCARDING if is_to_discard else copies.OVER
    return copies.entry(
        fuse.name,
        [Condition(**one) for one in fuse.conditions],
        action=fuse.action,
        per_second=parse_rate(fuse.rate) if fuse.rate else 0.0,
        expires_ms=int(fuse.expires_at.timestamp() * 1000),
    )


def _tell_added(fuse: Fuse) -> None:
    tell([fuse])
    job_fused.send_robust(fuse.name, fuse=fuse)


def _record(fuse: Fuse, action: str, *, actor: str, reason: str, address: str, **facts: Any) -> None:
    audit.record(actor=actor, action=action, target=f"fuse {fuse.pk}", reason=reason, address=address, **facts)


def _facts(fuse: Fuse) -> dict[str, Any]:
    facts = {"job": fuse.name, "action": fuse.action, "where": fuse.where, "rate": fuse.rate}
    return {name: value for name, value in facts.items() if value} | {"expires_at": fuse.expires_at.isoformat()}


def _key_of(where: Where) -> str:
    return hashlib.sha256(json.dumps(where, sort_keys=True).encode()).hexdigest() if where else ""

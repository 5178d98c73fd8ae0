"""Retries dead jobs by rule, once the partner answers again: asks for bulk actions, whose canary finds that out."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import router, transaction
from django.utils import timezone

from jobs import audit, bulk, dead
from jobs.bulk import Selection
from jobs.errors import BadOptions, BrokerUnavailable
from jobs.models import BulkAction, RecoveryRule
from jobs.models.bulk import BulkState, BulkVerb
from jobs.policy import recovering
from jobs.policy.ramp import WINDOW, Ramp

logger = logging.getLogger(__name__)

_LOOKED_AT_TRIES = 100
_MOST_AT_ONCE = 10_000
# Nobody looks, so what a rule lets go must not make others wait.
_MOST_WAIT_SECONDS = 300.0


def add(
    jobs: str,
    *,
    actor: str,
    errors: str = "",
    per_hour: int = 500,
    lives: int = 3,
    rest: timedelta = timedelta(minutes=5),
    canary: int = 5,
    rate: float = 10.0,
    note: str = "",
    address: str = "",
) -> RecoveryRule:
    """Let dead jobs of these names be retried from now on. Raises `BadOptions` for what cannot be."""
    _check(jobs, per_hour=per_hour, lives=lives, rest=rest, canary=canary, rate=rate)
    with transaction.atomic(using=router.db_for_write(RecoveryRule)):
        rule = RecoveryRule.objects.create(
            jobs=jobs,
            errors=errors[:500],
            per_hour=per_hour,
            lives=lives,
            rest=rest,
            canary=canary,
            rate=rate,
            note=note[:500],
            created_by=actor[:200],
        )
        _record(rule, "add rule", actor=actor, reason=note, address=address)
    return rule


def switch(rule: RecoveryRule, *, on: bool, actor: str, reason: str = "", address: str = "") -> None:
    """Let the rule work, or rest until it is switched on again; nothing happens to one that does so already, or is
    gone. What it has asked for goes on."""
    with transaction.atomic(using=router.db_for_write(RecoveryRule)):
        if RecoveryRule.objects.filter(pk=rule.pk, is_on=not on).update(is_on=on):
            _record(rule, "switch on rule" if on else "switch off rule", actor=actor, reason=reason, address=address)


def remove(rule: RecoveryRule, *, actor: str, reason: str = "", address: str = "") -> None:
    """Forget the rule; nothing happens to one that is gone. What it has asked for goes on."""
    with transaction.atomic(using=router.db_for_write(RecoveryRule)):
        if RecoveryRule.objects.filter(pk=rule.pk).delete()[0]:
            _record(rule, "remove rule", actor=actor, reason=reason, address=address)


def recover() -> list[BulkAction]:
    """Ask for what the rules want now. Returns the bulk actions asked for."""
    asked = [_recover_by(rule, timezone.now()) for rule in RecoveryRule.objects.filter(is_on=True)]
    return [action for action in asked if action is not None]


def _recover_by(rule: RecoveryRule, now: datetime) -> BulkAction | None:
    policy = policy_of(rule)
    most = min(recovering.budget(policy, _tries(rule), now=now), _MOST_AT_ONCE)
    keys = _keys(rule, policy, now)[:most] if most else []
    if not keys or _is_away(keys):
        return None
    ramp = Ramp(canary=min(rule.canary, most), rate=rule.rate, max_wait=_MOST_WAIT_SECONDS)
    with transaction.atomic(using=router.db_for_write(BulkAction)):
        # Two recording processes may look at once.
        locked = RecoveryRule.objects.select_for_update().filter(pk=rule.pk, is_on=True).first()
        if locked is None or BulkAction.objects.filter(rule=rule, state__in=_UNDER_WAY).exists():
            return None
        action, _ = bulk.ask(
            BulkVerb.REQUEUE,
            Selection(keys=tuple(keys)),
            actor=str(rule),
            reason=rule.note or "the partner may answer again",
            ramp=ramp,
        )
        BulkAction.objects.filter(pk=action.pk).update(rule=rule)
    logger.info("%s retries %d dead jobs", rule, action.total, extra={"rule": rule.pk, "bulk": action.pk})
    return action


_UNDER_WAY = (BulkState.ASKED, BulkState.CANARY, BulkState.RAMPING, BulkState.PAUSED)


def policy_of(rule: RecoveryRule) -> recovering.Rule:
    """The rule as a value."""
    errors = tuple(word.strip() for word in rule.errors.split(",") if word.strip())
    return recovering.Rule(rule.jobs, errors, rule.per_hour, rule.rest)


def _tries(rule: RecoveryRule) -> list[recovering.Try]:
    latest = BulkAction.objects.filter(rule=rule).order_by("-pk")[:_LOOKED_AT_TRIES]
    return [
        recovering.Try(one.created_at, one.done, one.state == BulkState.STOPPED, one.state in _UNDER_WAY)
        for one in latest.defer("selection")
    ]


def _keys(rule: RecoveryRule, policy: recovering.Rule, now: datetime) -> list[int]:
    found = dead.matching().filter(died_at__lt=now - rule.rest, run__life__lt=rule.lives)
    kinds = found.order_by().values_list("name", "error_class").distinct()
    keys: list[int] = []
    for name, error_class in kinds:
        if policy.covers(name, error_class):
            some = found.filter(name=name, error_class=error_class)
            keys += some.values_list("pk", flat=True)[: policy.per_hour]
    return sorted(keys)


def _is_away(keys: list[int]) -> bool:
    """Whether a circuit says that the partner does not answer yet."""
    names = set(dead.matching().filter(pk__in=keys).order_by().values_list("name", flat=True).distinct())
    try:
        return bool(bulk.open_circuit(names))
    except BrokerUnavailable:
        return True


def _check(jobs: str, *, per_hour: int, lives: int, rest: timedelta, canary: int, rate: float) -> None:
    if not jobs or len(jobs) > 200:
        raise BadOptions("jobs: give the name of a job, or a pattern such as orders.*")
    if not 1 <= per_hour <= _MOST_AT_ONCE:
        raise BadOptions(f"per_hour={per_hour}: pass a whole number from 1 to {_MOST_AT_ONCE}")
    if not 1 <= lives <= 100:
        raise BadOptions(f"lives={lives}: pass a whole number from 1 to 100")
    if not timedelta(seconds=10) <= rest <= timedelta(days=7):
        raise BadOptions(f"rest={rest}: pass a time from 10 s to 7 days")
    if not 1 <= canary <= WINDOW:
        raise BadOptions(f"canary={canary}: pass a whole number from 1 to {WINDOW}: it finds out whether they answer")
    if not 0 < rate <= 1000:
        raise BadOptions(f"rate={rate}: pass a number a second above 0, up to 1000")


def _record(rule: RecoveryRule, action: str, *, actor: str, reason: str, address: str) -> None:
    facts = {"jobs": rule.jobs, "errors": rule.errors, "per_hour": rule.per_hour, "lives": rule.lives}
    audit.record(actor=actor, action=action, target=str(rule), reason=reason, after=facts, address=address)

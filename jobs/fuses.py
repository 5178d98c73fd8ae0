"""Fuses: what keeps the runs of one job from starting, added by hand or by a rule, until lifted or expired.

1. `add` writes the row, and Redis is told after the commit. `tend` tells it again if that was lost.
2. Each claim matches what it takes and puts what is caught into the fuse's lane. See `claim.lua`.
3. `lift`, or the time, ends the fuse: claims take what its lanes hold before anything else, in order.
4. `tend` sees that the lanes are empty, and Redis forgets the fuse.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, router, transaction
from django.db.models import Max, Q, QuerySet, Sum
from django.db.models.fields.json import KeyTransform
from django.utils import timezone

from jobs import audit, conf, registry
from jobs.broker import fuses as copies
from jobs.errors import BadFuse, BrokerUnavailable, NotLiftable
from jobs.models import Fuse, JobAttempt, JobRun, MetricMinute, RunState
from jobs.models.pruning import delete_in_chunks
from jobs.policy import fusing
from jobs.policy.fusing import Condition, Figures, FuseRule, Where
from jobs.policy.rates import parse_rate
from jobs.signals import job_fused

logger = logging.getLogger(__name__)

KEPT = timedelta(days=90)
# Each claim looks at all of them.
MOST = 100
# Counting further costs more than it tells.
COUNT_CAP = 10_000
_WAITING = (RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING)
_CRASHES_READ = 5000
_EXPIRY = "expiry"


@dataclass(frozen=True)
class Preview:
    """How many waiting runs a fuse would catch as they come to start, by queue; `capped`: there are more."""

    by_queue: dict[str, int] = field(default_factory=dict)
    capped: bool = False

    @property
    def count(self) -> int:
        return sum(self.by_queue.values())


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
        reason=reason[:500],
        actor=actor[:200],
        by_rule=by_rule,
        created_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    using = router.db_for_write(Fuse)
    try:
        with transaction.atomic(using=using):
            if Fuse.objects.filter(ended_at__isnull=True).count() >= MOST:
                raise BadFuse(f"There are {MOST} fuses already, and each claim looks at all of them. Lift some first.")
            fuse.save(force_insert=True)
            _record(fuse, "add_fuse", actor=actor, reason=reason, address=address, after=_facts(fuse))
    except IntegrityError as error:
        raise BadFuse(f"{name} has a fuse for these runs already. Lift that one first.") from error
    transaction.on_commit(partial(_tell_added, fuse), using=using)
    return fuse


def conditions_of(name: str, where: Where) -> list[Condition]:
    """What the runs must look like. Raises `BadFuse`, and `UnknownJob` for one that is unknown and has no rows."""
    known = registry.find(name)
    if known is not None:
        return fusing.conditions(known.signature, where, job=name, sensitive=known.options.sensitive)
    # Runs outlive the code of old releases.
    if where or not JobRun.objects.filter(name=name).exists():
        registry.get(name)
    return []


def lift(fuse: Fuse, *, actor: str, reason: str = "", address: str = "") -> None:
    """End a fuse: what it holds starts again, in its order and before what came later.

    Raises `NotLiftable` when it has ended.
    """
    using = router.db_for_write(Fuse)
    with transaction.atomic(using=using):
        if not _end(fuse, by=actor, reason=reason, address=address):
            raise NotLiftable(f"The fuse on {fuse.name} has ended already.")
    transaction.on_commit(partial(_tell, [fuse]), using=using)


def preview(job: str, where: Where | None = None) -> Preview:
    """What a fuse would catch of the runs that wait now. Raises `BadFuse` or `UnknownJob`. Changes nothing."""
    name = registry.full_name(job)
    rows = waiting(name, conditions_of(name, where or {}))
    queues = list(rows.values_list("queue", flat=True)[: COUNT_CAP + 1])
    return Preview(dict(Counter(queues[:COUNT_CAP])), capped=len(queues) > COUNT_CAP)


def examples(job: str, where: Where | None = None, *, most: int) -> list[JobRun]:
    """Some of those, the latest first. Raises as `preview` does."""
    name = registry.full_name(job)
    return list(waiting(name, conditions_of(name, where or {})).defer("payload", "result").order_by("-pk")[:most])


def holders(runs: Sequence[JobRun]) -> dict[UUID, Fuse]:
    """The fuse that keeps each of these runs from starting, by the run's id; nothing where Redis cannot say."""
    may_wait = [run for run in runs if run.state in _WAITING]
    there = {fuse.pk: fuse for fuse in Fuse.objects.filter(released_at__isnull=True)} if may_wait else {}
    try:
        found = copies.fuses_of([run.rq_id for run in may_wait]) if there else {}
    except BrokerUnavailable:
        return {}
    return {run.pk: there[found[run.rq_id]] for run in may_wait if found.get(run.rq_id) in there}


def waiting(name: str, conditions: Iterable[Condition]) -> QuerySet[JobRun]:
    """The waiting runs of a job that meet these conditions, as their rows tell."""
    rows = JobRun.objects.filter(name=name, state__in=_WAITING)
    for number, one in enumerate(conditions):
        # Built by hand: in a look-up's name an argument called "in" would be an operator.
        alias = f"argument_{number}"
        rows = rows.alias(**{alias: KeyTransform(one.parameter, "arguments")})
        meets = Q(**{f"{alias}__isnull": False, alias: one.value})
        if one.value is None:
            meets = Q(**{alias: None})
        if one.fits_default:
            meets |= Q(**{f"{alias}__isnull": True})
        rows = rows.filter(meets)
    return rows


def active() -> QuerySet[Fuse]:
    """The fuses that keep runs from starting."""
    return Fuse.objects.filter(ended_at__isnull=True, expires_at__gt=timezone.now())


def caught(fuses: Sequence[Fuse]) -> dict[int, dict[str, int]]:
    """How many runs each of these keeps from starting now, by queue. Raises `BrokerUnavailable`."""
    return copies.caught([fuse.pk for fuse in fuses], conf.queue_names())


# What the recording process does.


def tend() -> None:
    """See that Redis has the fuses as their rows say, end those whose time has come, and forget what is over.

    May be repeated, by two at once too. Raises `BrokerUnavailable` or a database error.
    """
    there = copies.published()
    rows = list(Fuse.objects.filter(released_at__isnull=True).order_by("pk"))
    _expire(rows)
    wanted = {fuse.pk: _entry(fuse) for fuse in rows}
    strangers = there.keys() - wanted.keys()
    # One that was added since the rows were read is no stranger.
    strangers -= set(Fuse.objects.filter(pk__in=strangers, released_at__isnull=True).values_list("pk", flat=True))
    wanted |= dict.fromkeys(strangers, copies.OVER)
    copies.publish({fuse: text for fuse, text in wanted.items() if there.get(fuse) != text})
    _lift_again([fuse for fuse in rows if fuse.ended_at is None and fuse.pk not in there])
    _forget_released([fuse.pk for fuse in rows if fuse.ended_at is not None], strangers)


def _expire(rows: Iterable[Fuse]) -> None:
    for fuse in rows:
        if fuse.ended_at is None and fuse.expires_at <= timezone.now():
            with transaction.atomic(using=router.db_for_write(Fuse)):
                _end(fuse, by=_EXPIRY, reason="its time was over")


def _lift_again(rows: Sequence[Fuse]) -> None:
    """Whoever lifted one of these while we told Redis of it had told Redis before us."""
    if rows:
        _tell(Fuse.objects.filter(pk__in=[fuse.pk for fuse in rows], ended_at__isnull=False))


def _forget_released(ended: Sequence[int], strangers: Iterable[int]) -> None:
    over = [*ended, *strangers]
    counts = copies.caught(over, conf.queue_names()) if over else {}
    empty = [fuse for fuse in over if not counts[fuse]]
    if empty:
        Fuse.objects.filter(pk__in=empty, ended_at__isnull=False, released_at__isnull=True).update(
            released_at=timezone.now()
        )
        copies.forget(empty)


def follow_rules() -> list[Fuse]:
    """Add a fuse to each job whose rule says so, and return these. Raises a database error."""
    now = timezone.now()
    rules = {name: rule for name in registry.names() if (rule := registry.get(name).options.fuse) is not None}
    figures = _figures(rules, now)
    due = {name: why for name, seen in figures.items() if (why := fusing.verdict_on(seen, rules[name]))}
    fused = set(Fuse.objects.filter(name__in=due, ended_at__isnull=True, where_key="").values_list("name", flat=True))
    return [fuse for name, why in due.items() if name not in fused and (fuse := _follow(name, rules[name], why))]


def _follow(name: str, rule: FuseRule, why: str) -> Fuse | None:
    try:
        fuse = add(
            name, action=rule.action, rate=rule.rate, seconds=rule.for_seconds, reason=why, actor="rule", by_rule=True
        )
    except BadFuse as error:
        # Another recording process was first, or there are too many.
        logger.warning("no fuse was added to %s (%s): %s", name, why, error, extra={"job": name})
        return None
    words = "%s is kept from starting (%s) for %.0f s: %s. Lift the fuse once that is mended."
    logger.error(words, name, rule.action, rule.for_seconds, why, extra={"job": name, "fuse": fuse.pk})
    return fuse


def _figures(rules: Mapping[str, FuseRule], now: datetime) -> dict[str, Figures]:
    """What happened to these jobs within the time of each one's rule, and since its last fuse ended."""
    since = {name: now - timedelta(seconds=rule.within) for name, rule in rules.items()}
    ended = Fuse.objects.filter(name__in=list(rules), ended_at__gte=min(since.values(), default=now))
    for name, last in ended.order_by().values_list("name").annotate(Max("ended_at")):
        since[name] = max(since[name], last)
    crashes = _crashes(since)
    rated = {name: since[name] for name, rule in rules.items() if rule.failure_rate is not None}
    attempts = _attempts(rated) if rated else {}
    return {
        name: Figures(crashes.get(name, 0), *attempts.get(name, (0, 0))) for name in crashes.keys() | attempts.keys()
    }


def _crashes(since: Mapping[str, datetime]) -> Counter[str]:
    """How often each job's runs killed their process while they were alone in it."""
    rows = JobAttempt.objects.filter(outcome="crashed", ended_at__gte=min(since.values(), default=timezone.now()))
    latest = rows.exclude(verdict="isolate").order_by("-ended_at").values_list("run__name", "ended_at")[:_CRASHES_READ]
    return Counter(name for name, ended_at in latest if name in since and ended_at >= since[name])


def _attempts(since: Mapping[str, datetime]) -> dict[str, tuple[int, int]]:
    """How many attempts of each job ended and failed, in the whole minutes since then."""
    # A minute in which an earlier fuse ended tells of what came before, too.
    within = Q()
    for name, start in since.items():
        within |= Q(name=name, minute__gt=start - timedelta(minutes=1))
    sums = MetricMinute.objects.filter(within).order_by().values("name").annotate(Sum("succeeded"), Sum("failed"))
    return {one["name"]: (one["succeeded__sum"] + one["failed__sum"], one["failed__sum"]) for one in sums}


def prune() -> int:
    """Delete fuses that have been over for 90 days; the audit goes on telling of them. Returns how many they were."""
    return delete_in_chunks(_prunable().order_by("pk"))


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return _prunable().exists()


def _prunable() -> QuerySet[Fuse]:
    return Fuse.objects.filter(released_at__lt=timezone.now() - KEPT)


# How rows change, and how Redis hears of it.


def _end(fuse: Fuse, *, by: str, reason: str, address: str = "") -> bool:
    now = timezone.now()
    if not Fuse.objects.filter(pk=fuse.pk, ended_at__isnull=True).update(ended_at=now, ended_by=by[:200]):
        return False
    fuse.ended_at, fuse.ended_by = now, by[:200]
    _record(fuse, "lift_fuse", actor=by, reason=reason, address=address, before=_facts(fuse))
    logger.info("a fuse on %s has ended: %s", fuse.name, by, extra={"job": fuse.name, "fuse": fuse.pk})
    return True


def _record(fuse: Fuse, action: str, *, actor: str, reason: str, address: str, **facts: Any) -> None:
    audit.record(actor=actor, action=action, target=f"fuse {fuse.pk}", reason=reason, address=address, **facts)


def _facts(fuse: Fuse) -> dict[str, Any]:
    facts = {"job": fuse.name, "action": fuse.action, "where": fuse.where, "rate": fuse.rate}
    return {name: value for name, value in facts.items() if value} | {"expires_at": fuse.expires_at.isoformat()}


def _tell_added(fuse: Fuse) -> None:
    _tell([fuse])
    job_fused.send_robust(fuse.name, fuse=fuse)


def _tell(fuses: Iterable[Fuse]) -> None:
    """Tell Redis; if it cannot hear, `tend` tells it later."""
    try:
        copies.publish({fuse.pk: _entry(fuse) for fuse in fuses})
    except BrokerUnavailable as error:
        logger.warning("Redis is told of a fuse once it answers again: %s", error)


def _entry(fuse: Fuse) -> str:
    if fuse.ended_at is not None:
        is_to_discard = fuse.action == fusing.DISCARD and fuse.ended_by == _EXPIRY
        return copies.OVER_DISCARDING if is_to_discard else copies.OVER
    return copies.entry(
        fuse.name,
        [Condition(**one) for one in fuse.conditions],
        action=fuse.action,
        per_second=parse_rate(fuse.rate) if fuse.rate else 0.0,
        expires_ms=int(fuse.expires_at.timestamp() * 1000),
    )


def _key_of(where: Where) -> str:
    return hashlib.sha256(json.dumps(where, sort_keys=True).encode()).hexdigest() if where else ""

"""Fuses that jobs get by their own rules."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Max, Q, Sum
from django.utils import timezone

from jobs import registry
from jobs.errors import BadFuse
from jobs.fuses.operating import add
from jobs.models import Fuse, JobAttempt, MetricMinute
from jobs.policy import fusing
from jobs.policy.fusing import Figures, FuseRule

logger = logging.getLogger(__name__)

_CRASHES_READ = 5000


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

"""Makes rows follow what the code declares, at deploys.

Two releases may run beside each other for a while. Each says what it declares; rows follow the one that was declared
last, of those that still run. So an old worker that starts anew changes nothing, and after a roll back rows follow the
old code once the last process of the new one has been gone for three minutes, or at once by `jobs_schedules --sync`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import router, transaction
from django.utils import timezone

from jobs import conf, timetable, troubles
from jobs.models import Schedule, ScheduleCode
from jobs.policy import scheduling
from jobs.policy.scheduling import FIELDS, Terms
from jobs.schedules import operating, rows
from jobs.schedules.operating import CODE
from jobs.schedules.rows import note, said

logger = logging.getLogger(__name__)

# How often a process says that its code still runs, and how long that is believed.
ALIVE_SECONDS = 60.0
BELIEVED = timedelta(minutes=3)
_FORGOTTEN = timedelta(days=90)


def sync(*, actor: str) -> list[str]:
    """Make the rows follow this code, whatever other releases run. Returns what changed, in words."""
    with transaction.atomic(using=router.db_for_write(ScheduleCode)):
        now = timezone.now()
        mine = _say_alive(timetable.declared(), now, anew=True)
        return _follow(mine, timetable.declared(), now=now, actor=actor)


def follow_code() -> list[str]:
    """Say that this code runs, and make the rows follow it if no newer one does. Returns what changed, in words."""
    declared = timetable.declared()
    if not declared and not ScheduleCode.objects.exists():
        return []
    with transaction.atomic(using=router.db_for_write(ScheduleCode)):
        now = timezone.now()
        mine = _say_alive(declared, now)
        running = ScheduleCode.objects.filter(seen_at__gte=now - BELIEVED)
        if running.order_by("-declared_at", "-pk").first() != mine:
            return []
        if ScheduleCode.objects.filter(applied_at__isnull=False).order_by("-applied_at").first() == mine:
            return []
        return _follow(mine, declared, now=now, actor=_name())


def _name() -> str:
    return f"{CODE} of {conf.release()}" if conf.release() else CODE


def _say_alive(declared: Mapping[str, Terms], now: datetime, *, anew: bool = False) -> ScheduleCode:
    digest = scheduling.digest(declared)
    # Who waits for this lock sees below what was applied meanwhile.
    there = list(ScheduleCode.objects.select_for_update().order_by("pk"))
    latest = _after([one.declared_at for one in there], now)
    facts = {"release": conf.release()[:100], "declared_at": latest, "seen_at": now}
    mine, created = ScheduleCode.objects.get_or_create(digest=digest, defaults=facts)
    if not created:
        mine.seen_at, mine.release = now, conf.release()[:100]
        mine.declared_at = latest if anew else mine.declared_at
        mine.save()
    return mine


def _after(times: Iterable[datetime | None], now: datetime) -> datetime:
    """Now, or just after the last of these: the clocks of two hosts differ."""
    return max([now, *(time + rows.INSTANT for time in times if time is not None)])


def _follow(mine: ScheduleCode, declared: Mapping[str, Terms], *, now: datetime, actor: str) -> list[str]:
    there = {row.name: row for row in Schedule.objects.select_for_update().order_by("pk")}
    told, has_failed = [], False
    for name in dict.fromkeys([*declared, *there]):
        try:
            with transaction.atomic(using=router.db_for_write(Schedule)):
                told += _see_to(name, there.get(name), declared.get(name), now=now, actor=actor)
        # One row that is not as it should be must not keep the others from following.
        except Exception as error:
            if troubles.is_outage(error):
                raise
            has_failed = True
            told.append(f"{name} does not follow the code: {error}")
            logger.exception("schedule %s does not follow the code", name, extra={"schedule": name})
    if not has_failed:
        mine.applied_at = _after(ScheduleCode.objects.values_list("applied_at", flat=True), now)
        mine.save()
    ScheduleCode.objects.filter(seen_at__lt=now - _FORGOTTEN).delete()
    for words in told:
        logger.info("schedules follow the code: %s", words)
    return told


def _see_to(name: str, row: Schedule | None, terms: Terms | None, *, now: datetime, actor: str) -> list[str]:
    """Let one row follow what the code says of it, if anything. Returns what changed, in words."""
    if terms is None:
        leaves = row is not None and row.by_code and row.left_code_at is None
        return [_leave(row, now=now, actor=actor)] if row is not None and leaves else []
    return [_add(name, terms, now=now, actor=actor)] if row is None else _follow_one(row, terms, now, actor)


def _add(name: str, terms: Terms, *, now: datetime, actor: str) -> str:
    row = operating.new_row(name, terms, actor=actor, now=now)
    row.by_code, row.code = True, terms.as_json()
    row.save(force_insert=True)
    note(row, "add", before={}, after=terms.as_json(), actor=actor, reason="declared in the code")
    return f"{name} was added"


def _follow_one(row: Schedule, terms: Terms, now: datetime, actor: str) -> list[str]:
    told = []
    code = terms.as_json()
    before = rows.terms_said(row)
    if not row.by_code:
        told.append(_adopt(row, code, now))
    names = [name for name in FIELDS if name not in row.edited and before[name] != code[name]]
    if names:
        rows.put(row, said(code, names), now=now)
        told.append(f"{row.name} was changed: {', '.join(names)}")
        note(
            row,
            "follow",
            before=said(before, names),
            after=said(code, names),
            actor=actor,
            reason="changed in the code",
        )
    row.code = code
    row.edited = {name: by for name, by in row.edited.items() if getattr(row, name) != code[name]}
    if row.left_code_at is not None:
        told.append(_come_back(row, now=now, actor=actor))
    row.save()
    return told


def _adopt(row: Schedule, code: Mapping[str, object], now: datetime) -> str:
    """The code declares a schedule that a person added: what that person said stays, and shows as drift."""
    row.by_code = True
    differing = [name for name in FIELDS if getattr(row, name) != code[name]]
    row.edited = {name: {"by": row.created_by, "at": now.isoformat()} for name in differing}
    return f"{row.name} was there already, and is the code's from now on"


def _leave(row: Schedule, *, now: datetime, actor: str) -> str:
    row.left_code_at = now
    operating.pause_for_code(row, now=now)
    row.save()
    note(row, "leave", before={}, after={}, actor=actor, reason=operating.NOT_IN_CODE, history=False)
    return f"{row.name} is not in the code any more, and was paused"


def _come_back(row: Schedule, *, now: datetime, actor: str) -> str:
    row.left_code_at = None
    if row.paused_by == CODE:
        operating.end_pause(row, now=now, actor=actor, reason="declared in the code again")
    return f"{row.name} is in the code again"

"""What operators see of locks, and do with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import router, transaction

from jobs import audit
from jobs.broker import locks as server
from jobs.broker.locks import Held, Holder, Listed
from jobs.errors import NotReleasable
from jobs.models import AuditEntry


@dataclass(frozen=True)
class HeldLock:
    """A lock as an operator sees it. `is_alive`: its holder has renewed it lately."""

    name: str
    token: str
    fence: int
    holder: Holder
    since: datetime
    renewed_at: datetime
    expires_at: datetime
    is_alive: bool


def held() -> list[HeldLock]:
    """The locks that are held, up to 200, by name. Changes nothing. Raises `BrokerUnavailable`."""
    return sorted(map(_held_lock, server.listed()), key=lambda one: one.name)


def release(
    name: str, *, token: str, actor: str, reason: str = "", though_alive: bool = False, address: str = ""
) -> None:
    """Take a lock from its holder `token`, as `held` shows it. `actor` is who wants it, for the audit.

    Its holder finds out within seconds, or when it ends. Raises `NotReleasable` when another one holds it by now, or
    none; and when the holder lives, unless `though_alive`. Raises `BrokerUnavailable`.
    """
    with transaction.atomic(using=router.db_for_write(AuditEntry)):
        # The row is there before the lock is free, and goes again when that fails.
        audit.record(
            actor=actor,
            action="release lock",
            target=name,
            reason=reason,
            address=address,
            after={"though_alive": though_alive},
        )
        if in_the_way := server.free(name, token=token, though_alive=though_alive):
            raise NotReleasable(_why_not(name, in_the_way))


def _why_not(name: str, in_the_way: Held) -> str:
    if in_the_way.idle_seconds < 0:
        return f"Nobody holds the lock {name} any more."
    return (
        f"The lock {name} is held by {in_the_way.holder}, who renewed it {in_the_way.idle_seconds:.0f} s ago. "
        "If it is the one you mean, stop its run, or force it and say why."
    )


def _held_lock(listed: Listed) -> HeldLock:
    life = listed.expires - listed.renewed
    return HeldLock(
        name=listed.name,
        token=listed.token,
        fence=listed.fence,
        holder=listed.holder,
        since=datetime.fromtimestamp(listed.since, UTC),
        renewed_at=datetime.fromtimestamp(listed.renewed, UTC),
        expires_at=datetime.fromtimestamp(listed.expires, UTC),
        # As the script has it.
        is_alive=listed.now - listed.renewed < min(life * 2 / 3, 30.0),
    )

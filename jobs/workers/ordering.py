"""What people ask of workers: be quiet, or stop and hand back. Supervisors hear it within a second."""

from __future__ import annotations

from typing import Any

from django.db import router, transaction

from jobs import audit
from jobs.broker import fleet
from jobs.errors import NotOrderable
from jobs.models import WorkerProcess


def quiet(*, supervisor: str = "", host: str = "", actor: str, reason: str = "", address: str = "") -> list[str]:
    """Let a supervisor, or all of a host, claim no more and go on with what runs. Returns who was asked.

    Raises `NotOrderable` when nobody of that id or host lives, and `BrokerUnavailable`.
    """
    return _order(fleet.QUIET, supervisor, host, actor=actor, reason=reason, address=address)


def stop(*, supervisor: str = "", host: str = "", actor: str, reason: str = "", address: str = "") -> list[str]:
    """Let a supervisor, or all of a host, end as at SIGTERM: what runs gets its time, and what is left is handed back.

    Whatever starts workers on that host may start another in its place. Returns who was asked. Raises as `quiet` does.
    """
    return _order(fleet.STOP, supervisor, host, actor=actor, reason=reason, address=address)


def _order(order: str, supervisor: str, host: str, **words: Any) -> list[str]:
    there = [one.id for one in fleet.look().supervisors if (one.id == supervisor if supervisor else one.host == host)]
    target = f"supervisor {supervisor}" if supervisor else f"host {host}"
    if not there:
        raise NotOrderable(f"There is no live {target}.")
    with transaction.atomic(using=router.db_for_write(WorkerProcess)):
        audit.record(
            action=f"{order}_worker", target=target, count=len(there), after={"asked": order, "of": there}, **words
        )
        # Last, for what is told to Redis is not taken back.
        heard = fleet.ask(order, there, actor=words["actor"])
        if not heard:
            raise NotOrderable(f"The {target} has just ended.")
    return heard

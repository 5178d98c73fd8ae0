"""What operators see of circuits, and do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from django.db import router, transaction
from django.utils import timezone

from jobs import audit, registry
from jobs.broker import circuits as server
from jobs.broker.circuits import Seen
from jobs.circuits import knowing
from jobs.circuits.passing import circuit, defined
from jobs.errors import BadOptions
from jobs.models import AuditEntry
from jobs.policy.circuit import Phase, Rules, check_name, is_name
from jobs.policy.redaction import mask_text


@dataclass(frozen=True)
class Status:
    """A circuit as an operator sees it.

    `phase` is "closed", "open" or "half-open", since `since` where that is known. `probed_at` is when an open one may
    be tried next. `failures` were counted in the window, of `failures_to_open`. `held_by` is who holds it in this
    phase, empty where it decides itself, until `held_until`, or without end; `jobs` are those that say `circuit=`.
    """

    name: str
    phase: Phase
    since: datetime | None
    probed_at: datetime | None
    has_probe: bool
    failures: int
    rules: Rules
    held_by: str
    reason: str
    held_until: datetime | None
    jobs: tuple[str, ...]


def local_names() -> list[str]:
    """The circuits that code here defines, or names in `@job(circuit=…)`."""
    return sorted({*defined(), *_jobs_by_circuit()})


def names() -> list[str]:
    """The circuits that there are: those that code here defines or names, and those that were used of late.

    Raises `BrokerUnavailable`.
    """
    return sorted({*local_names(), *filter(is_name, server.names())})


def status(name: str) -> Status:
    """One circuit as it is. Changes nothing. Raises `BrokerUnavailable`."""
    return statuses([name])[0]


def statuses(wanted: Iterable[str] | None = None) -> list[Status]:
    """Circuits as they are, all of `names()` when none are named. Changes nothing. Raises `BrokerUnavailable`."""
    found = names() if wanted is None else list(wanted)
    jobs = _jobs_by_circuit()
    seen = server.look(found, [circuit(name).rules for name in found])
    return [_status(one, jobs.get(one.name, ())) for one in seen]


def force_open(name: str, *, actor: str, reason: str = "", until: datetime | None = None, address: str = "") -> None:
    """Let no call go through, and no probe either, until then, or until somebody closes it.

    `actor` is who wants it, for the audit. Raises `BrokerUnavailable`, and nothing has changed then.
    """
    seconds = _seconds_until(until)

    def step() -> Seen:
        return server.hold_open(name, circuit(name).rules, seconds=seconds, by=actor, reason=mask_text(reason))

    _force(step, name, action="open circuit", actor=actor, reason=reason, until=until, address=address)


def force_close(name: str, *, actor: str, reason: str = "", until: datetime | None = None, address: str = "") -> None:
    """Close it now, and forget its failures. From then on it decides itself; with `until`, it stays closed until
    then, whatever fails. It ends what `force_open` began.

    `actor` is who wants it, for the audit. Raises `BrokerUnavailable`, and nothing has changed then.
    """
    seconds = _seconds_until(until)

    def step() -> Seen:
        return server.close(name, circuit(name).rules, held_seconds=seconds, by=actor, reason=mask_text(reason))

    _force(step, name, action="close circuit", actor=actor, reason=reason, until=until, address=address)


def _force(
    step: Callable[[], Seen],
    name: str,
    *,
    action: Literal["open circuit", "close circuit"],
    actor: str,
    reason: str,
    until: datetime | None,
    address: str,
) -> None:
    before = status(check_name(name))
    with transaction.atomic(using=router.db_for_write(AuditEntry)):
        # The row is there before the circuit changes, and goes again when that fails.
        audit.record(
            actor=actor,
            action=action,
            target=name,
            reason=reason,
            address=address,
            before={"phase": before.phase, "held_by": before.held_by},
            after={"until": until.isoformat() if until else None},
        )
        seen = step()
    knowing.note(seen)


def _seconds_until(until: datetime | None) -> float | None:
    if until is None:
        return None
    if until.tzinfo is None or until <= timezone.now():
        raise BadOptions(f"until={until!r}: pass an aware datetime that is to come")
    return (until - timezone.now()).total_seconds()


def _jobs_by_circuit() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in registry.names():
        used = registry.get(name).options.circuit
        if used is not None:
            found[used] = (*found.get(used, ()), name)
    return found


def _status(seen: Seen, jobs: tuple[str, ...]) -> Status:
    return Status(
        name=seen.name,
        phase=seen.phase,
        since=_moment(seen.since),
        probed_at=_moment(seen.until) if seen.phase == "open" and not seen.held else None,
        has_probe=bool(seen.probe) and seen.until > seen.now,
        failures=seen.failures,
        rules=circuit(seen.name).rules,
        held_by=seen.held_by if seen.held else "",
        reason=seen.reason if seen.held else "",
        held_until=_moment(seen.held_until or 0),
        jobs=jobs,
    )


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None

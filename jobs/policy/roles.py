"""Who may do what: each permission of the console, and the least role that has it. Knows no groups and no users."""

from __future__ import annotations

from collections.abc import Iterable

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"

# Each role has what those before it have.
ROLES = (VIEWER, OPERATOR, ADMIN)

# A viewer looks. An operator does what the night needs: what can be had back, or leaves jobs as they are written.
# An admin changes what runs and by which rules, sees secrets, and says what the outside world has done.
LEAST_ROLE = {
    "view_console": VIEWER,
    "view_audit": VIEWER,
    "requeue_job": OPERATOR,
    "discard_job": OPERATOR,
    "cancel_job": OPERATOR,
    "reschedule_job": OPERATOR,
    "manage_failures": OPERATOR,
    "manage_fuses": OPERATOR,
    "manage_circuit": OPERATOR,
    "manage_workflow": OPERATOR,
    "release_lock": OPERATOR,
    "pause_schedule": OPERATOR,
    "run_schedule": OPERATOR,
    "stop_job": OPERATOR,
    "export_jobs": OPERATOR,
    "share_view": OPERATOR,
    "pause_queue": OPERATOR,
    "clear_queue": OPERATOR,
    "quiet_worker": OPERATOR,
    "stop_worker": OPERATOR,
    "manage_alerts": OPERATOR,
    "edit_job": ADMIN,
    "enqueue_job": ADMIN,
    "edit_schedule": ADMIN,
    "manage_recovery": ADMIN,
    "release_effect": ADMIN,
    "view_payload": ADMIN,
}


def permissions_of(role: str) -> frozenset[str]:
    """What a role may do.

    >>> sorted(permissions_of("viewer"))
    ['view_audit', 'view_console']
    """
    reach = ROLES.index(role)
    return frozenset(name for name, least in LEAST_ROLE.items() if ROLES.index(least) <= reach)


def to_give(role: str, *, given: Iterable[str]) -> frozenset[str]:
    """What a role is to have and was never given. What was given and is gone, somebody took away.

    >>> sorted(to_give("viewer", given=["view_console"]))
    ['view_audit']
    """
    return permissions_of(role) - frozenset(given)

"""Writes who did what and why. Reads nothing."""

from __future__ import annotations

from typing import Any

from jobs.models import AuditEntry
from jobs.policy.redaction import mask, mask_text


def record(
    *,
    actor: str,
    action: str,
    target: str = "",
    reason: str = "",
    count: int = 1,
    filter: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    address: str = "",
    outcome: str = "done",
) -> AuditEntry:
    """Add one row, in the transaction of what it tells of. `actor` is a user's name, a command or a rule.

    What looks like a secret is masked.
    """
    return AuditEntry.objects.create(
        actor=actor[:200],
        action=action[:50],
        target=target[:300],
        reason=mask_text(reason)[:500],
        count=count,
        filter=mask(filter or {}),
        before=mask(before or {}),
        after=mask(after or {}),
        address=address[:100],
        outcome=outcome[:20],
    )

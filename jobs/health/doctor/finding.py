"""One thing to change in a deployment."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Finding:
    """`id` never changes. An error may lose jobs or keeps them from running; a warning costs something."""

    id: str
    level: str
    what: str
    why: str
    cure: str

"""A hook of a project, as `JOBS["ALERTS"]["HOOK"]` names it."""

from __future__ import annotations

from typing import Any

TOLD: list[dict[str, Any]] = []
RAISES: Exception | None = None


def tell(alert: dict[str, Any]) -> None:
    if RAISES is not None:
        raise RAISES
    TOLD.append(alert)

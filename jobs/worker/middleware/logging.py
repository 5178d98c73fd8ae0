"""One line when an attempt starts; and what is logged within it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobs.context import CurrentRun
from jobs.worker import kept_lines, lines


def logs(get_result: Callable[[CurrentRun], Any]) -> Callable[[CurrentRun], Any]:
    """Log that each attempt starts, and keep the last lines that are logged within it, for the case that it fails.

    How it ended is logged when it is known what follows.
    """
    kept_lines.listen()

    def middleware(run: CurrentRun) -> Any:
        lines.started(run)
        return get_result(run)

    return middleware

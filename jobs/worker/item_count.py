"""How far a run that iterates is, reported without the job's doing."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

from jobs.checkpoints import Checkpoint
from jobs.context import CurrentRun
from jobs.errors import BadOptions, HandBackJob
from jobs.registry import Job

# How far a cursor is: done, total and their unit.
Measure = Callable[[Any], tuple[float, float, str]]

# Runs that end sooner report nothing, and nobody counts their items.
_QUIET_SECONDS = 1.0


class ItemCount:
    """1. `note` is told of each checkpoint, and reports once the attempt has run for a moment.
    2. The first report asks for the total: the job's own, or the iterator's.
    3. `end` reports what `note` was told last, unless the run was short.
    """

    def __init__(self, job: Job[Any, Any], bound: inspect.BoundArguments, run: CurrentRun, begun: Checkpoint) -> None:
        self._job = job
        self._bound = bound
        self._run = run
        self._latest = begun
        # What goes on where it was has been looked at before.
        self._is_reporting = begun.items > 0
        self._from = time.monotonic() + _QUIET_SECONDS
        self._asked = False
        self._total: int | None = None

    def note(self, checkpoint: Checkpoint) -> None:
        """So many items are done."""
        self._latest = checkpoint
        if self._is_reporting or time.monotonic() > self._from:
            self._is_reporting = True
            self._report()

    def end(self, *, cut_off_by: BaseException | None = None) -> None:
        """The attempt is over. One that failed says how far it came, however short it was."""
        failed = isinstance(cut_off_by, Exception) and not isinstance(cut_off_by, HandBackJob)
        if self._is_reporting or (failed and self._latest.items):
            self._report()

    def _report(self) -> None:
        done, measured = self._latest.items, self._measured()
        if measured is not None:
            self._run.progress(measured[0], measured[1], f"{done:,} items", unit=measured[2])
            return
        total = self._known_total()
        unit = getattr(self._job.options.iterates, "unit", "")
        self._run.progress(done, None if total is None else max(total, done), unit=unit)

    def _measured(self) -> tuple[float, float, str] | None:
        measure: Measure | None = getattr(self._job.options.iterates, "measure", None)
        return measure(self._latest.cursor) if measure is not None and self._latest.items else None

    def _known_total(self) -> int | None:
        if not self._asked:
            self._asked = True
            self._total = self._asked_for_total()
        return self._total

    def _asked_for_total(self) -> int | None:
        """What the job says; nothing where it cannot: a run does not fail for its progress."""
        if self._job.options.total is None:
            return None
        try:
            total = self._job.options.total(*self._bound.args, **self._bound.kwargs)
            if total is None or (isinstance(total, int) and not isinstance(total, bool) and total >= 0):
                return total
            raise BadOptions(f"total gave {total!r:.100}; give a whole number from 0, or None")
        except Exception as error:
            self._run.logger.warning("how many items %s has is not known: %s", self._run.name, error)
            return None

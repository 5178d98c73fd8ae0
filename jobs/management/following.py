"""Follows a bulk action on a terminal or in a log, and takes its turns itself where no worker does."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Any

from django.core.management.base import OutputWrapper

from jobs import bulk, runs
from jobs.errors import BrokerUnavailable, NotCancellable
from jobs.models import BulkAction, JobRun
from jobs.models.bulk import BulkState
from jobs.models.runs import PENDING_STATES
from jobs.policy.ramp import Cohort
from jobs.policy.rates import rate_in_words

# A worker that lives takes it within a moment; one that is busy may take longer, and finds nothing to do then.
TAKEN_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_LINE_SECONDS = 10.0
# How the whole cohort fares costs a query over all of it.
_FARED_SECONDS = 5.0
_BAR = 24


class Follower:
    """Shows how a bulk action goes on until it rests or is over, or `stop` is set."""

    def __init__(self, action: BulkAction, *, out: OutputWrapper, stop: Event, command: str, actor: str) -> None:
        self.action = action
        self._out = out
        self._stop = stop
        self._command = command
        self._actor = actor
        self._is_terminal = bool(getattr(out, "isatty", lambda: False)())
        self._lined_at = 0.0
        self._shown = ""
        self._begun: tuple[float, int] | None = None
        self._fared: tuple[float, str] | None = None

    def follow(self) -> None:
        """Return when it goes on no more, or nobody wants to look."""
        until = time.monotonic() + TAKEN_SECONDS
        while self._look():
            if self.action.state == BulkState.ASKED and time.monotonic() > until and self._take_back():
                self._say("No worker has taken it, so this process does the work. Stopping it pauses the action.")
                self._work_here()
                break
            if self._stop.wait(_LOOK_SECONDS):
                break
        self._last_words()

    def _look(self) -> bool:
        self.action.refresh_from_db()
        self._show()
        return self.action.is_open

    def _take_back(self) -> bool:
        """Whether no worker can come across the action's run any more."""
        waiting = JobRun.objects.filter(
            name=bulk.JOB, state__in=PENDING_STATES, payload=[[self.action.pk, self.action.round], {}]
        )
        try:
            for run in waiting:
                runs.cancel(run, actor=self._actor, reason="the command does the work itself")
        except (NotCancellable, BrokerUnavailable):
            return False
        return True

    def _work_here(self) -> None:
        bulk.work(self.action.pk, rest=self._rest, tell=self._look)
        if self._look():
            bulk.pause(self.action, actor=self._actor, reason="the command that did the work was stopped")

    def _rest(self, seconds: float) -> bool:
        return self._stop.wait(seconds) if seconds else self._stop.is_set()

    # What people see.

    def _show(self) -> None:
        now = time.monotonic()
        if not self._is_terminal and now < self._lined_at + _LINE_SECONDS and self.action.is_open:
            return
        line = self._line(now)
        if line == self._shown:
            return
        self._lined_at, self._shown = now, line
        self._out.write(f"\r\x1b[K{line}" if self._is_terminal else line, ending="" if self._is_terminal else "\n")
        self._out.flush()

    def _line(self, now: float) -> str:
        action = self.action
        looked, total = action.looked, action.total
        bar = f"[{'#' * (_BAR * looked // (total or 1)):<{_BAR}}] " if self._is_terminal else ""
        words = f"{bar}{looked:,} of {total:,} ({100 * looked // (total or 1)} %), {action.get_state_display()}"
        if action.rate or action.canary:
            words += self._cohort(now) if action.done else ""
        return words + self._pace(now, looked, total)

    def _cohort(self, now: float) -> str:
        if self._fared is None or now > self._fared[0] + _FARED_SECONDS or not self.action.is_open:
            self._fared = (now, _cohort(bulk.totals(self.action)))
        return self._fared[1]

    def _pace(self, now: float, looked: int, total: int) -> str:
        if self._begun is None:
            self._begun = (now, looked)
        since, before = self._begun
        if looked <= before or now - since < 1 or not self.action.is_open:
            return ""
        pace = (looked - before) / (now - since)
        return f", {rate_in_words(pace)}, {duration((total - looked) / pace)} to go"

    def _last_words(self) -> None:
        self.action.refresh_from_db()
        if self._is_terminal and self._shown:
            self._out.write("")
        if self.action.is_open:
            self._say(f"Bulk action {self.action.pk} goes on without this command.", *self._ways("--follow", "--stop"))
        elif self.action.state in (BulkState.PAUSED, BulkState.STOPPED):
            why = f": {self.action.why}" if self.action.why else ""
            self._say(
                f"It {'is paused' if self.action.state == BulkState.PAUSED else 'stopped'}{why}.",
                *self._ways("--resume"),
            )

    def _ways(self, *options: str) -> list[str]:
        return [f"manage.py {self._command} {option} {self.action.pk}" for option in options]

    def _say(self, *lines: str) -> None:
        if self._is_terminal and self._shown:
            self._out.write("")
            self._shown = ""
        for line in lines:
            self._out.write(line)


def summary(action: BulkAction) -> dict[str, Any]:
    """What became of it, as JSON has it."""
    fared = bulk.totals(action)
    return {
        "bulk_action": action.pk,
        "action": action.verb,
        "state": action.state,
        "why": action.why,
        "matched": action.total,
        "done": action.done,
        "left_alone": action.left,
        "not_come_to": max(0, action.total - action.looked),
        "cohort": {"ok": fared.ok, "failed": fared.failed, "waiting": fared.waiting},
    }


def tell(action: BulkAction, say: Callable[[str], object], *, past: str) -> None:
    """What became of it, for people."""
    say(f"{_jobs(action.done)} {past}.")
    if action.rate or action.canary:
        say("Of these" + _cohort(bulk.totals(action)).replace(",", ":", 1) + ".")
    for why, count in sorted(action.left.items(), key=lambda each: -each[1]):
        say(f"{_jobs(count)} left alone: {why}.")
    if rest := action.total - action.looked:
        say(f"{_jobs(rest)} not come to.")


def _cohort(fared: Cohort) -> str:
    return f", {fared.ok:,} ok, {fared.failed:,} failed again, {fared.waiting:,} waiting"


def _jobs(count: int) -> str:
    return f"{count:,} dead job{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time that something takes, as people read it."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

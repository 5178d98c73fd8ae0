"""How the console writes the log lines that are kept of an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django import template
from django.utils import timezone

from jobs.policy import attempt_log

register = template.Library()

_LOUD = ("WARNING", "ERROR", "CRITICAL")


class LogLine(NamedTuple):
    """One line, for people: `at` is by the viewer's clock."""

    at: datetime
    level: str
    logger: str
    text: str
    is_loud: bool

    @property
    def utc(self) -> datetime:
        """`at` in UTC, for the title."""
        return self.at.astimezone(UTC)


@register.filter
def log_lines(log: Sequence[Any] | None) -> list[LogLine]:
    """The lines of `JobAttempt.log`, without what cannot be one."""
    return [_line(*line) for line in log or () if attempt_log.is_line(line)]


@register.filter
def without_trace(options: dict[str, Any]) -> dict[str, Any]:
    """What was chosen for a run alone: the trace that it belongs to was not."""
    return {name: value for name, value in options.items() if name != "traceparent"}


def _line(at_ms: int, level: str, logger: str, text: str) -> LogLine:
    at = timezone.localtime(datetime.fromtimestamp(at_ms / 1000, UTC))
    return LogLine(at, level, logger, text, level in _LOUD)

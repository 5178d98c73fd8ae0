"""The last log lines of attempts: what a job, or whatever it calls, logs is kept until the attempt has ended, and goes
along with its failure. Of a success nothing is kept.

1. `listen` lets every record that is made within a run be noted, of any logger, in any thread that has its context.
2. Once the attempt has failed, `told` gives the last ones as the journal has them, masked.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from jobs.broker.claim import Claim
from jobs.context import current_run_or_none
from jobs.policy.outcome import Outcome, Raised, Stopped, TimedOut
from jobs.worker import failures

# What a person reads to see what led to the failure; the whole log is where all logs are.
_MOST_LINES = 50
_MOST_BYTES = 10_000
_LINE_CHARACTERS = 1_000
_NAME_CHARACTERS = 100
_ATTRIBUTE = "_kept_lines"
_OURS = "jobs.attempt"

_Line = tuple[int, str, str, str]
_FAILED = Raised | TimedOut | Stopped


class _Noting:
    """Makes records as the factory before it did, and notes those of runs."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, name: Any, level: Any, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(name, level, *args, **kwargs)
        run = current_run_or_none()
        # A record that is put together of its parts has no level yet.
        if run is not None and isinstance(level, int) and level >= logging.INFO:
            run.desk.note(record)
        return record


def listen() -> None:
    """Note records from now on, in this process and those that it forks."""
    # A handler of the root logger would not hear of loggers that do not propagate, and would take the place of the
    # one that Python has where none is set up.
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Noting):
        logging.setLogRecordFactory(_Noting(make))


def note(claim: Claim, record: logging.LogRecord) -> None:
    """Keep a record as text, for what it holds may change or be large. Never raises."""
    if record.name.startswith(_OURS):
        return
    lines: deque[_Line] | None = claim.__dict__.get(_ATTRIBUTE)
    if lines is None:
        # Not a field: the claim is what Redis said.
        lines = claim.__dict__.setdefault(_ATTRIBUTE, deque(maxlen=_MOST_LINES))
    lines.append((int(record.created * 1000), record.levelname, record.name, _text(record)))


def are_told(claim: Claim, outcome: Outcome) -> bool:
    """Whether the attempt failed, and logged something."""
    return _ATTRIBUTE in claim.__dict__ and isinstance(outcome, _FAILED)


def told(claim: Claim, *, secrets: Collection[str]) -> list[list[Any]]:
    """Its last lines: [milliseconds, level, logger, text] each, 10 kB of JSON at the most."""
    kept: list[list[Any]] = []
    room = _MOST_BYTES
    # A thread that the job left behind may still log.
    for at, level, name, text in reversed(list(claim.__dict__[_ATTRIBUTE])):
        words = [failures.shown(word, secrets) for word in (level, name, text)]
        line = [at, *[word[:most] for word, most in zip(words, (20, _NAME_CHARACTERS, _LINE_CHARACTERS), strict=True)]]
        room -= len(json.dumps(line)) + 2
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def _text(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    # A message that does not fit its arguments is told by its handlers, where there are any.
    except Exception as error:
        text = f"(the message cannot be told: {type(error).__name__})"
    if record.exc_info and (error_told := record.exc_info[1]) is not None:
        text = f"{text} ({type(error_told).__name__}: {failures.message(error_told)})"
    # Masked later: what is cut here must not be a half of a secret that could be seen.
    return text[: 4 * _LINE_CHARACTERS]

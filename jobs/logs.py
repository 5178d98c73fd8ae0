"""How log lines are written: what they say of attempts, as one line each, JSON or plain. Logs nothing itself.

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "jobs.logs.Formatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jobs import conf
from jobs.context import current_correlation, current_run_or_none
from jobs.policy import correlating, redaction

# What every record says that was logged within a run; the correlation also what was within a request.
PLACE = ("job", "run", "attempt", "correlation")
# What each line says that tells of an attempt, in this order, with null for what is not known.
FACTS = (
    "event",
    "job",
    "run",
    "queue",
    "attempt",
    "of",
    "worker",
    "release",
    "correlation",
    "parent",
    "trace",
    "wait_ms",
    "run_ms",
    "outcome",
    "verdict",
    "next_s",
    "reason",
    "error_class",
    "error_message",
)
_LINES = "jobs.attempt"
_IDS = {"run", "correlation", "parent", "trace"}
_NOTHING: dict[str, Any] = dict.fromkeys(FACTS)
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


@cache
def logger_of(name: str) -> logging.Logger:
    """The logger of the lines that tell of one job's attempts, of all that have none for an empty name.

    What a job logs itself goes to `jobs.run.…`.
    """
    # `getLogger` takes a lock that all threads share.
    return logging.getLogger(f"jobs.attempt.{name}".removesuffix("."))


def facts(**known: Any) -> dict[str, Any]:
    """What a line about an attempt says, with the same keys always: null for what is empty."""
    return _NOTHING | {key: value for key, value in known.items() if value != ""}


class AddRun(logging.Filter):
    """Lets each record say in which run it was logged: `job`, `run`, `attempt` and `correlation`, None outside of one.

    For handlers of any kind: `"filters": ["run"]`, with `"filters": {"run": {"()": "jobs.logs.AddRun"}}` beside them.
    The formatters below do it by themselves. A queue's handler needs it, for what formats is in another thread.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
        _add_place(record)
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with time, level, logger, message and the run; whatever else a record carries follows.

    Secrets are masked by name and by pattern, in the message, in what it carries, and in a traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        _add_place(record)
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redaction.mask_text(record.getMessage()),
            **_shown_facts(record, _carried(record)),
        }
        if trace := _traceback(self, record):
            told["traceback"] = trace
        return _dump(told)


class PlainFormatter(logging.Formatter):
    """Time, level, logger and message, then `key=value`: all facts of a line about an attempt, `-` for what is not
    known; of other records the run, where there is one. Masked as JSON is. What would end a line is escaped, and the
    lines of a traceback are indented: so nobody's text looks like a record of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, with the lines of its traceback."""
        _add_place(record)
        known = vars(record)
        keys = FACTS if _is_of_attempt(record) else [key for key in PLACE if known.get(key) is not None]
        told = _shown_facts(record, {key: known.get(key) for key in keys})
        message = _one_line(redaction.mask_text(record.getMessage()))
        head = f"{self.formatTime(record)} {record.levelname} {record.name} {message}"
        line = " ".join([head, *(f"{key}={_word(value)}" for key, value in told.items())])
        trace = _traceback(self, record)
        return f"{line}\n{_indented(trace)}" if trace else line


class Formatter(logging.Formatter):
    """`JsonFormatter` or `PlainFormatter`, as `JOBS["LOG_FORMAT"]` says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._by_name = {"json": JsonFormatter(), "plain": PlainFormatter()}

    def format(self, record: logging.LogRecord) -> str:
        """The record as the setting wants it."""
        return self._by_name.get(conf.get().LOG_FORMAT, self._by_name["plain"]).format(record)


def _add_place(record: logging.LogRecord) -> None:
    known = vars(record)
    if all(key in known for key in PLACE):
        return
    run = current_run_or_none()
    known.setdefault("correlation", current_correlation() or None)
    known.setdefault("job", run.name if run else None)
    known.setdefault("run", str(run.id) if run else None)
    known.setdefault("attempt", run.attempt if run else None)


def _is_of_attempt(record: logging.LogRecord) -> bool:
    return _NOTHING.keys() <= vars(record).keys()


def _carried(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`, with the facts and the run first and in their order."""
    known = vars(record)
    first = FACTS if _is_of_attempt(record) else PLACE
    others = [key for key in known if key not in _OF_EVERY_RECORD and key not in first]
    return {key: known[key] for key in (*first, *others)}


def _shown_facts(record: logging.LogRecord, told: dict[str, Any]) -> dict[str, Any]:
    """What is said, masked. Of our own lines all facts are masked already or are nobody's secret, but what a person
    gave as the reason."""
    if not record.name.startswith(_LINES):
        return _masked(told)
    return told | _masked({key: told[key] for key in told if key == "reason" or key not in _NOTHING})


def _masked(told: dict[str, Any]) -> dict[str, Any]:
    sensitive = conf.get().SENSITIVE
    return {key: value if _is_id(key, value) else _mask(key, value, sensitive) for key, value in told.items()}


def _is_id(key: str, value: object) -> bool:
    """Whether it is one of ours: some look like a card's number."""
    return key in _IDS and correlating.is_well_formed(value)


def _mask(key: str, value: Any, sensitive: list[str]) -> Any:
    try:
        return redaction.mask({key: value}, sensitive=sensitive)[key]
    # What holds itself.
    except RecursionError:
        return f"({type(value).__name__})"


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    told = [formatter.formatException(record.exc_info)] if record.exc_info else []
    # What another process formatted already.
    told += [record.exc_text] if record.exc_text and not record.exc_info else []
    told += [formatter.formatStack(record.stack_info)] if record.stack_info else []
    return redaction.mask_text("\n".join(told))


def _dump(told: dict[str, Any]) -> str:
    try:
        return json.dumps(told, default=_shown, allow_nan=False)
    # Keys that are no text, a number that JSON does not know, what holds itself.
    except (TypeError, ValueError, RecursionError):
        return json.dumps({key: value if _is_plain(value) else _shown(value) for key, value in told.items()})


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | bool | int)


def _shown(value: object) -> str:
    return redaction.mask_text(str(value))


def _one_line(text: str) -> str:
    """What cannot be printed, as Python writes it in a string."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _indented(trace: str) -> str:
    return "\n".join(f"    {_one_line(line.expandtabs())}" for line in trace.splitlines())


def _word(value: object) -> str:
    if value is None:
        return "-"
    text = str(value)
    is_line = text.isprintable()
    is_word = is_line and text and not any(letter in text for letter in ' "=\\')
    return text if is_word else json.dumps(text, ensure_ascii=not is_line)

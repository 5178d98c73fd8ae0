"""What a job can know of its own run, while it runs."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from jobs.errors import NoCurrentRun

# What a job gets to reach a safe place before its time limit strikes: a tenth of it, and no more than this.
_NEAR_SECONDS = 10.0


def _never() -> bool:
    return False


class _RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the run's facts to those of each call; the standard adapter puts them in their place."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**(kwargs.get("extra") or {}), **(self.extra or {})}}


@cache
def logger_of(name: str) -> logging.Logger:
    """The logger of all runs of one job."""
    # `getLogger` takes a lock that all threads share.
    return logging.getLogger(f"jobs.run.{name}")


@dataclass(frozen=True)
class CurrentRun:
    """The run that a job's code runs in.

    `attempt` is 1 for the first; `attempts` is how many there may be; `deadline` is when the time limit
    strikes; `correlation` names the run that it all began with; `circuit` the one that its job goes through;
    `call` runs the function with its arguments;
    `stop_asked` tells whether somebody wants it to end; `robbed` that an earlier attempt may still be under way, for
    the run was taken from a worker whose end nobody saw.
    """

    id: uuid.UUID | str
    name: str
    queue: str
    attempt: int
    attempts: int
    timeout: float
    deadline: datetime
    worker: str
    call: Callable[[], Any] = field(repr=False)
    correlation: str = ""
    parent: uuid.UUID | None = None
    is_async: bool = False
    robbed: bool = False
    circuit: str | None = None
    started: float = field(default_factory=time.monotonic)
    stop_asked: Callable[[], bool] = field(default=_never, repr=False)

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that adds the job's name, the run's id and the attempt to every record."""
        facts = {"job": self.name, "run": str(self.id), "attempt": self.attempt}
        return _RunLogger(logger_of(self.name), facts)

    def seconds_left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self.started + self.timeout - time.monotonic()

    def stopping(self) -> bool:
        """Whether the job should end at its next safe place: its worker is being stopped or replaced, or its
        time limit is near (its last tenth, at most 10 s).

            for order in orders_after(place):
                if current_run().stopping():
                    raise HandBackJob
        """
        return self.stop_asked() or self.seconds_left() < min(_NEAR_SECONDS, self.timeout / 10)


_current: ContextVar[CurrentRun | None] = ContextVar("jobs_current_run", default=None)


def current_run() -> CurrentRun:
    """The run that this code runs in. Raises `NoCurrentRun` outside a job."""
    run = _current.get()
    if run is None:
        raise NoCurrentRun("There is no current run: this code was not called by a worker. Pass what it needs instead.")
    return run


def current_run_or_none() -> CurrentRun | None:
    return _current.get()


def current_run_id() -> uuid.UUID | None:
    """The current run's id; None outside a job, and in one of plain RQ's, whose id is any text."""
    run = _current.get()
    return run.id if run is not None and isinstance(run.id, uuid.UUID) else None


class running:
    """Make `run` the current one for the length of a `with` block.

    Not a generator: `contextlib` sets the traceback of what passes through, which a frozen exception refuses.
    """

    def __init__(self, run: CurrentRun) -> None:
        self._run = run

    def __enter__(self) -> CurrentRun:
        self._token = _current.set(self._run)
        return self._run

    def __exit__(self, *error: object) -> None:
        _current.reset(self._token)

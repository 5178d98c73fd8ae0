"""What a job can know of its own run, while it runs."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.errors import NoCurrentRun


class _RunLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the run's facts to those of each call; the standard adapter puts them in their place."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, {**kwargs, "extra": {**(kwargs.get("extra") or {}), **(self.extra or {})}}


@dataclass(frozen=True)
class CurrentRun:
    """The run that a job's code runs in.

    `attempt` is 1 for the first; `attempts` is how many there may be; `deadline` is when the time limit
    strikes; `correlation` names the run that it all began with; `call` runs the function with its arguments.
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
    started: float = field(default_factory=time.monotonic)

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that adds the job's name, the run's id and the attempt to every record."""
        facts = {"job": self.name, "run": str(self.id), "attempt": self.attempt}
        return _RunLogger(logging.getLogger(f"jobs.run.{self.name}"), facts)

    def seconds_left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self.started + self.timeout - time.monotonic()


_current: ContextVar[CurrentRun | None] = ContextVar("jobs_current_run", default=None)


def current_run() -> CurrentRun:
    """The run that this code runs in. Raises `NoCurrentRun` outside a job."""
    run = _current.get()
    if run is None:
        raise NoCurrentRun("There is no current run: this code was not called by a worker. Pass what it needs instead.")
    return run


def current_run_or_none() -> CurrentRun | None:
    return _current.get()


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

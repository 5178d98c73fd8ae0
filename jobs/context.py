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
from typing import Any, Protocol, TypeVar

from jobs.errors import BadOptions, NoCurrentRun
from jobs.policy import correlating

# What a job gets to reach a safe place before its time limit strikes: a tenth of it, and no more than this.
_NEAR_SECONDS = 10.0


T = TypeVar("T")


def _never() -> bool:
    return False


class Desk(Protocol):
    """What an attempt writes on while it runs. The worker gives it."""

    def report(self, done: float, total: float | None, message: str, *, unit: str, anew: bool) -> None: ...

    def step(self, name: str, call: Callable[[], T], *, atomic: bool) -> T: ...

    def note(self, record: logging.LogRecord) -> None: ...


class NoDesk:
    """Of a run that plain RQ enqueued, or of none at all: what it reports is not kept."""

    def report(self, done: float, total: float | None, message: str, *, unit: str, anew: bool) -> None:
        pass

    def step(self, name: str, call: Callable[[], T], *, atomic: bool) -> T:
        raise BadOptions("run.step needs a job made by @job: plain RQ's runs keep no steps")

    def note(self, record: logging.LogRecord) -> None:
        pass


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
    strikes; `correlation` names the request or run that it all began with, itself where nothing came before;
    `trace` is the id of its trace, empty where there is none; `wait_ms` is how long it waited once it was ready;
    `circuit` the one that its job goes through;
    `call` runs the function with its arguments; `stop_asked` tells whether somebody wants it to end; `desk` is what it
    writes on; `robbed` tells that an earlier attempt may still be under way, for the run was taken from a worker whose
    end nobody saw.
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
    trace: str = ""
    wait_ms: int = 0
    parent: uuid.UUID | None = None
    is_async: bool = False
    robbed: bool = False
    circuit: str | None = None
    started: float = field(default_factory=time.monotonic)
    stop_asked: Callable[[], bool] = field(default=_never, repr=False)
    desk: Desk = field(default=NoDesk(), repr=False)

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

    def progress(
        self, done: float, total: float | None = None, message: str = "", *, unit: str = "", anew: bool = False
    ) -> None:
        """Say that `done` of `total` are done: operators see it within a second, and it is kept when the run ends.

            run = current_run()
            for number, row in enumerate(rows, start=1):
                store(row)
                run.progress(number, len(rows))

        Call it as often as you like: it sends nothing by itself, and fails for nothing but what is no number from 0
        (`BadOptions`). `total` None is not known; `unit` stands behind the numbers, as in "bytes". What is less than
        was said before, also by an earlier attempt, does not move the bar back, unless `anew` says that it begins anew.
        """
        self.desk.report(done, total, message, unit=unit, anew=anew)

    def step(self, name: str, call: Callable[[], T], *, atomic: bool = False) -> T:
        """What `call()` gave: made now, or by an earlier attempt of this run, which is not repeated.

            charge = run.step("charge", lambda: gateway.charge(order.amount, key=order.number))
            run.step("tell", lambda: mail(order, charge["id"]))

        The result is plain JSON, up to `JOBS["MAX_RESULT_BYTES"]`, and kept in a row that goes with the run's. `name`
        is the step's own within the run. What `call` raises passes through, and the next attempt calls again; so it
        does after a crash between the call and the row: what must not happen twice wants `effects.once` inside.

        With `atomic`, `call` runs inside the transaction that writes that row: for what changes only the database,
        which then happens exactly once. Without it, call it outside a transaction (`JobsError`).

        Raises `BadOptions` for a name that this attempt has used, and without a row (`durable=False`), before anything
        is called; `StepNotKept` where the step was done and its result cannot be kept.
        """
        return self.desk.step(name, call, atomic=atomic)


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


# What was said, and in which run: what was said outside of a run does not hold within it.
_said: ContextVar[tuple[CurrentRun | None, str] | None] = ContextVar("jobs_correlation", default=None)


def current_correlation() -> str:
    """What the work of this code began with: a request, a run, or what `correlation` said. Empty for nothing."""
    run, said = _current.get(), _said.get()
    if said is not None and said[0] is run:
        return said[1]
    return "" if run is None else (run.correlation or str(run.id))[: correlating.LONGEST]


class correlation:
    """Let what is enqueued and logged in a `with` block carry this id, as in a command or a shell.

        with context.correlation(f"import-{day}"):
            import_orders(day)

    Raises `BadOptions` for what cannot be one: letters, digits and `._:/+=@-`, 80 of them at the most.
    """

    def __init__(self, name: str) -> None:
        if not correlating.is_well_formed(name):
            raise BadOptions(f"correlation {name!r}: pass {correlating.WORDS}")
        self._name = name

    def __enter__(self) -> str:
        self._token = _said.set((_current.get(), self._name))
        return self._name

    def __exit__(self, *error: object) -> None:
        _said.reset(self._token)


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

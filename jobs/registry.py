"""The jobs this process knows: what `@job` makes, and the look-up by name. Runs and stores nothing."""

from __future__ import annotations

import functools
import inspect
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NoReturn, ParamSpec, Protocol, TypeVar, Unpack, overload

from jobs import conf
from jobs.errors import BadOptions, DuplicateJob, UnknownJob, did_you_mean
from jobs.policy import arguments as job_arguments
from jobs.policy import limits, subjects
from jobs.policy import options as job_options
from jobs.policy.options import Iterates, JobOptions, Options

# As long as the column that keeps it.
_LONGEST_NAME = 200
# What asks for a run in RQ, Celery, Dramatiq and Sidekiq's kin.
_CALLED_ELSEWHERE = ("delay", "apply_async", "send", "perform_async")

P = ParamSpec("P")
R = TypeVar("R")
Item = TypeVar("Item")
# The arguments of one call: a tuple or list of positional ones, or a dict by name.
Call = Sequence[Any] | Mapping[str, Any]


class Door(Protocol):
    """What puts runs into the system. `jobs.enqueueing` in production; tests swap it."""

    def enqueue(self, job: Job[Any, Any], calls: Iterable[Call | Bound], placing: Placing) -> Sequence[Any]: ...


@dataclass(frozen=True)
class Bound:
    """Positional and named arguments of one call, not yet checked."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Placing:
    """Where and when runs go, how often they are tried and until when: None leaves it to the job's options."""

    queue: str | None = None
    at: datetime | timedelta | float | None = None
    attempts: int | None = None
    expires: datetime | timedelta | None = None
    # What brought the runs about, where that is not the current run.
    parent: uuid.UUID | None = None
    correlation: str = ""
    # The batch that they are members of.
    batch: int | None = None
    # What they are about, where the job's option is not to say it.
    subject: str | None = None


class Job(Generic[P, R]):
    """A function that can be enqueued. Calling it runs it here and now, as in tests and shells.

    Of a job that iterates, that is all items, one after the other; `function` is what each is given to.
    """

    # A template calls all that can be called, and a page that shows a job would run it.
    do_not_call_in_templates = True

    def __init__(self, function: Callable[P, R], name: str, options: JobOptions) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.options = options
        self.signature = _without_annotations(job_options.signature_of(function, options.iterates))
        # Binding to a signature costs more than all else that is done for a short job.
        self.fit = job_arguments.fitter(self.signature, name)
        self.is_async = inspect.iscoroutinefunction(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.options.iterates is None:
            return self.function(*args, **kwargs)
        return self._iterate(*args, **kwargs)

    def _iterate(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        function: Callable[..., Any] = self.function
        assert self.options.iterates is not None
        count = 0
        for _, item in self.options.iterates(*bound.args, **bound.kwargs, cursor=None):
            function(item, *bound.args, **bound.kwargs)
            count += 1
        return count

    def __repr__(self) -> str:
        return f"<Job {self.name}>"

    # Kept from type checkers, to whom it would say that a job has any attribute.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            cure = " Call enqueue(…), enqueue_in or enqueue_at." if name in _CALLED_ELSEWHERE else ""
            raise AttributeError(f"A job has no {name!r}.{cure}", name=name, obj=self)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Ask for one run. Returns its `Run`, whose row commits with the caller's transaction.

        Raises `BadArguments`, `ArgumentsNotJSON` or `ArgumentsTooLarge`, and stores nothing then.
        """
        return Placed(self, Placing()).enqueue(*args, **kwargs)

    def enqueue_in(self, delay: timedelta | float, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Ask for a run after `delay`, a timedelta or seconds."""
        return Placed(self, Placing(at=_positive(delay))).enqueue(*args, **kwargs)

    def enqueue_at(self, when: datetime, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Ask for a run not before `when`, an aware datetime; a past one means now."""
        return Placed(self, Placing(at=_aware(when))).enqueue(*args, **kwargs)

    def enqueue_many(self, calls: Iterable[Call]) -> Sequence[Any]:
        """Ask for many runs: each call a tuple of positional arguments or a dict by name.

        All or none: one bad call raises, and nothing is stored. `calls` may be a generator of millions: it is read
        in one transaction, some calls at a time, and neither they nor their runs are kept in memory. Returns `Runs`,
        a sequence that makes the `Run` of each call when it is looked at.
        """
        return Placed(self, Placing()).enqueue_many(calls)

    def prepare(self, *args: P.args, **kwargs: P.kwargs) -> Prepared:
        """A call that can be stored, and enqueued by somebody else later. Refuses what `enqueue` refuses."""
        return Placed(self, Placing()).prepare(*args, **kwargs)

    def using(
        self,
        *,
        queue: str | None = None,
        at: datetime | timedelta | float | None = None,
        attempts: int | None = None,
        expires: datetime | timedelta | None = None,
        subject: Any = None,
    ) -> Placed[P]:
        """This job with another queue, time, number of attempts, expiry or subject, for the calls made on the result.

        `expires` is an aware datetime, or a timedelta from when the run is due. `subject` is the object of a model that
        the runs are about.
        """
        if attempts is not None and (isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1):
            raise BadOptions(f"{self.name}: attempts={attempts!r}: pass a whole number from 1")
        when = _aware(at) if isinstance(at, datetime) else None if at is None else _positive(at)
        until = _aware(expires) if isinstance(expires, datetime) else expires
        if until is not None and not (isinstance(until, datetime) or _is_span(until)):
            raise BadOptions(f"{self.name}: expires={expires!r}: pass an aware datetime, or a timedelta above 0")
        about = None if subject is None else subjects.of_object(subject)
        return Placed(self, Placing(queue=queue, at=when, attempts=attempts, expires=until, subject=about))


@dataclass(frozen=True)
class Placed(Generic[P]):
    """A job with what `using` changed."""

    job: Job[P, Any]
    placing: Placing

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        return _door().enqueue(self.job, [Bound(args, kwargs)], self.placing)[0]

    def enqueue_in(self, delay: timedelta | float, *args: P.args, **kwargs: P.kwargs) -> Any:
        return replace(self, placing=replace(self.placing, at=_positive(delay))).enqueue(*args, **kwargs)

    def enqueue_at(self, when: datetime, *args: P.args, **kwargs: P.kwargs) -> Any:
        return replace(self, placing=replace(self.placing, at=_aware(when))).enqueue(*args, **kwargs)

    def enqueue_many(self, calls: Iterable[Call | Bound]) -> Sequence[Any]:
        return _door().enqueue(self.job, calls, self.placing)

    def prepare(self, *args: P.args, **kwargs: P.kwargs) -> Prepared:
        text = job_arguments.dump(
            self.job.fit(args, kwargs).by_parameter, name=self.job.name, limit=conf.get().MAX_ARGUMENT_BYTES
        )
        assert text
        return Prepared(self.job, Bound(args, dict(kwargs)), self.placing)


@dataclass(frozen=True)
class Prepared:
    """A call of a job, checked, and not asked for yet: what batches, workflows and schedules keep.

    >>> from jobs import job
    >>> @job(name="docs.tell")
    ... def tell(name): ...
    >>> tell.using(queue="low").prepare("Ada").as_json()
    {'job': 'docs.tell', 'args': ['Ada'], 'kwargs': {}, 'queue': 'low'}
    """

    job: Job[..., Any]
    call: Bound
    placing: Placing = field(default_factory=Placing)

    def enqueue(self, **placing: Any) -> Any:
        """Ask for the run. `placing` replaces parts of the `Placing`. Returns its `Run`."""
        return _door().enqueue(self.job, [self.call], replace(self.placing, **placing))[0]

    def as_json(self) -> dict[str, Any]:
        """The call as plain JSON, from which `of` makes it again. Raises `BadOptions` where it has a fixed time."""
        at, expires = self.placing.at, self.placing.expires
        if isinstance(at, datetime) or isinstance(expires, datetime):
            raise BadOptions(f"{self.job.name}: a prepared call has no fixed time; pass at= or expires= as a timedelta")
        placing = {
            "queue": self.placing.queue,
            "attempts": self.placing.attempts,
            "delay": _positive(at).total_seconds() if at is not None else None,
            "expires": expires.total_seconds() if expires is not None else None,
            "subject": self.placing.subject,
        }
        call = {"job": self.job.name, "args": list(self.call.args), "kwargs": dict(self.call.kwargs)}
        return call | {name: value for name, value in placing.items() if value is not None}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Prepared:
        """What `as_json` gave. Raises `UnknownJob`, or `BadArguments` where the signature has changed."""
        known = get(told["job"])
        bound = Bound(tuple(told.get("args", ())), dict(told.get("kwargs", {})))
        known.fit(bound.args, bound.kwargs)
        delay, expires = told.get("delay"), told.get("expires")
        placing = Placing(
            queue=told.get("queue"),
            attempts=told.get("attempts"),
            at=None if delay is None else timedelta(seconds=delay),
            expires=None if expires is None else timedelta(seconds=expires),
            subject=told.get("subject"),
        )
        return cls(known, bound, placing)


@overload
def job(function: Callable[P, R], /) -> Job[P, R]: ...
@overload
def job(
    *, iterates: Callable[..., Iterable[tuple[Any, Item]]], **options: Unpack[Options]
) -> Callable[[Callable[Concatenate[Item, P], Any]], Job[P, int]]: ...
@overload
def job(**options: Unpack[Options]) -> Callable[[Callable[P, R]], Job[P, R]]: ...
def job(
    function: Callable[..., Any] | None = None, /, *, iterates: Iterates | None = None, **options: Unpack[Options]
) -> Any:
    """Make a function a job that can be enqueued.

    `retry` is a `RetryPolicy` or a number of attempts, the first included. `timeout` is in seconds for
    one attempt, `JOBS["DEFAULT_TIMEOUT"]` when left out. `unique` allows one pending run: `"args"` with
    the same arguments, a list of names with the same values of those, `Unique(…)` until its start or for a time.
    `durable=False` skips the run's row: faster, and lost with Redis. `sensitive` names arguments that are masked
    wherever they are shown. `fuse` is the `FuseRule` by which the job gets a fuse by itself, None for none.
    `circuit` is a `Circuit` or the name of one: while it is open, runs wait and burn no attempt.
    `name` is the module's path without a trailing `.jobs`, and the function's name; give one to keep it
    over a move. `iterates` makes it a job of many items, which goes on where it was after a stop or a crash: a
    function of the same arguments and `cursor` that yields pairs of cursor and item, from behind `cursor` on, which
    is None at first. The job's function is called with each item, before its arguments. `time_slice` is the timedelta
    after which such a run makes room for others, and `total` a function of its arguments that gives the number of its
    items, for the progress. `limits` is a list of
    `at_once(…)` and `per_window(…)`: runs beyond them wait, and hold neither a thread nor burn an attempt.
    `subject` says which object a run is about: the parameter that has its primary key, and its model, as in
    `subject={"order_id": "shop.Order"}`; `jobs.subjects.jobs_for` finds the runs of an object by it.

    `expires` is a timedelta from when a run is due: it is not started after that, and `expired` says whether it is
    dead then, as `Bury` and by default, or `Discard`ed. `on_death` and `on_failure` are jobs, or their names, that are
    enqueued with the facts of a run that died, and of each attempt that failed. `traceback_lines` is how many of the
    last lines of a traceback are kept, `JOBS["TRACEBACK_LINES"]` when left out.

    Raises `BadOptions` or `DuplicateJob` when the module is imported.
    """

    job_options.check_known(options)

    def register(target: Callable[..., Any]) -> Job[..., Any]:
        name = options.get("name")
        known_as = _name_of(target) if name is None else _checked_name(name)
        made: Job[..., Any] = Job(target, known_as, job_options.build(target, known_as, options, iterates=iterates))
        _register(made)
        return made

    return register if function is None else register(function)


_jobs: dict[str, Job[..., Any]] = {}
_opened: Door | None = None


def find(name: str) -> Job[..., Any] | None:
    """The job of this name, or None."""
    return _jobs.get(name)


def get(name: str) -> Job[..., Any]:
    """The job of this name; the function's bare name will do where one job has it.

    Raises `UnknownJob` with the nearest name.
    """
    if found := find(full_name(name)):
        return found
    raise UnknownJob(
        f'No job is named "{name}" here.{did_you_mean(name, _jobs)} '
        "A job must be defined in the jobs.py of an installed app."
    )


def full_name(name: str) -> str:
    """The name of the one job whose function is called `name`; else `name` as it is."""
    bearers = [known for known in _jobs if known.rpartition(".")[2] == name]
    return bearers[0] if len(bearers) == 1 and name not in _jobs else name


def names() -> list[str]:
    """The names of all registered jobs, sorted."""
    return sorted(_jobs)


@functools.cache
def limit_numbers() -> str:
    """The numbers of all jobs' limits by their ids, as JSON; empty where no job has any."""
    found = limits.numbers(one for known in _jobs.values() for one in known.options.limits)
    return json.dumps(found, separators=(",", ":")) if found else ""


def open_door(door: Door) -> Door | None:
    """Let `door` take what is enqueued from now on. Returns the one before it."""
    global _opened
    before, _opened = _opened, door
    return before


def _door() -> Door:
    if _opened is None:
        raise BadOptions('Jobs cannot be enqueued before Django is set up: put "jobs" in INSTALLED_APPS.')
    return _opened


def _register(made: Job[..., Any]) -> None:
    before = _jobs.get(made.name)
    # A module that is imported anew (a reload, a test) replaces its own jobs.
    if before is not None and _place(before) != _place(made):
        raise DuplicateJob(
            f'Two jobs are named "{made.name}": {_place(before)} and {_place(made)}. Give one of them name="…".'
        )
    _jobs[made.name] = made
    limit_numbers.cache_clear()


def _without_annotations(signature: inspect.Signature) -> inspect.Signature:
    """For error texts: names and defaults. Annotations are quoted text under `from __future__ import annotations`."""
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)


def _place(known: Job[..., Any]) -> str:
    return f"{known.function.__module__}.{known.function.__qualname__}"


def _name_of(function: Callable[..., Any]) -> str:
    if "<" in function.__qualname__:
        raise BadOptions(
            f"{function.__qualname__}: a lambda or a function inside a function cannot be a job, "
            "for a worker could not find it; move it to the top of a jobs.py, or give it name=…"
        )
    return f"{function.__module__.removesuffix('.jobs')}.{function.__qualname__}"


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise BadOptions(f"name={name!r}: pass a printable text of 1 to {_LONGEST_NAME} characters")
    return name


def _positive(delay: timedelta | float) -> timedelta:
    if isinstance(delay, bool) or not isinstance(delay, timedelta | int | float):
        raise BadOptions(f"a delay of {delay!r}: pass a timedelta or a number of seconds")
    try:
        return delay if isinstance(delay, timedelta) else timedelta(seconds=delay)
    except (ValueError, OverflowError) as error:
        raise BadOptions(f"a delay of {delay!r}: pass a finite number of seconds") from error


def _is_span(given: object) -> bool:
    return isinstance(given, timedelta) and given > timedelta(0)


def _aware(when: datetime) -> datetime:
    if not isinstance(when, datetime) or when.tzinfo is None:
        raise BadOptions(f"a time of {when!r}: pass an aware datetime, such as timezone.now() + timedelta(hours=1)")
    return when

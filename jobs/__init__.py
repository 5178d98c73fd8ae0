"""Background jobs for Django, on RQ and Redis or Valkey.

What a jobs module needs is here; e-mails that are sent once are in `jobs.emails`, test tools in `jobs.testing`.
Importing this package loads no model.
"""

from jobs.context import CurrentRun, current_run
from jobs.errors import (
    AlreadyPending,
    CircuitOpen,
    DiscardJob,
    HandBackJob,
    JobStopped,
    JobTimedOut,
    LockHeld,
    LockLost,
    PutOffJob,
    RetryLater,
)
from jobs.policy import jitter
from jobs.policy.backoff import delays, exponential, fixed, linear, polynomial
from jobs.policy.failed_run import FailedRun
from jobs.policy.fusing import FuseRule
from jobs.policy.late_tick import LateTick
from jobs.policy.limits import at_once, per_window
from jobs.policy.retry import Bury, Discard, RetryPolicy
from jobs.policy.scheduling import all_up_to
from jobs.policy.uniqueness import Unique
from jobs.registry import Job, Prepared, job
from jobs.timetable import cron

__all__ = [
    "AlreadyPending",
    "Bury",
    "CircuitOpen",
    "CurrentRun",
    "Discard",
    "DiscardJob",
    "FailedRun",
    "FuseRule",
    "HandBackJob",
    "Job",
    "JobStopped",
    "JobTimedOut",
    "LateTick",
    "LockHeld",
    "LockLost",
    "Prepared",
    "PutOffJob",
    "RetryLater",
    "RetryPolicy",
    "Unique",
    "all_up_to",
    "at_once",
    "cron",
    "current_run",
    "delays",
    "exponential",
    "fixed",
    "jitter",
    "job",
    "linear",
    "per_window",
    "polynomial",
]

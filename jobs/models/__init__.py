"""The tables: what must not be lost.

Rows are changed by the recorder and by the verbs of the rooms above, `dead.requeue` or `queues.pause`: never by pages,
commands or a project's own code.
"""

from jobs.models.alerts import AlertCheck, AlertRule, Incident, IncidentNotice
from jobs.models.audit import AuditEntry
from jobs.models.batches import Batch, BatchSlice
from jobs.models.bulk import BulkAction
from jobs.models.causes import FailureCause
from jobs.models.checkpoints import JobCheckpoint
from jobs.models.dead import DeadJob
from jobs.models.effects import Effect
from jobs.models.emails import SentEmail
from jobs.models.fuses import Fuse
from jobs.models.journal import JournalCursor
from jobs.models.metrics import MetricCursor, MetricDay, MetricHour, MetricMinute, MetricTotal
from jobs.models.progress import JobProgress
from jobs.models.queues import QueuePause, QueueSample
from jobs.models.recovery import RecoveryRule
from jobs.models.roles import RoleGrant
from jobs.models.runs import JobAttempt, JobRun, RunState
from jobs.models.schedules import Schedule, ScheduleCode, ScheduleEdit, ScheduleTick
from jobs.models.shared import CircuitsAndLocks
from jobs.models.steps import JobStep
from jobs.models.uniques import UniqueHold
from jobs.models.views import SavedView
from jobs.models.workers import WorkerProcess, WorkerRelease
from jobs.models.workflows import Workflow, WorkflowStep

__all__ = [
    "AlertCheck",
    "AlertRule",
    "AuditEntry",
    "Batch",
    "BatchSlice",
    "BulkAction",
    "CircuitsAndLocks",
    "DeadJob",
    "Effect",
    "FailureCause",
    "Fuse",
    "Incident",
    "IncidentNotice",
    "JobAttempt",
    "JobCheckpoint",
    "JobProgress",
    "JobRun",
    "JobStep",
    "JournalCursor",
    "MetricCursor",
    "MetricDay",
    "MetricHour",
    "MetricMinute",
    "MetricTotal",
    "QueuePause",
    "QueueSample",
    "RecoveryRule",
    "RoleGrant",
    "RunState",
    "SavedView",
    "Schedule",
    "ScheduleCode",
    "ScheduleEdit",
    "ScheduleTick",
    "SentEmail",
    "UniqueHold",
    "WorkerProcess",
    "WorkerRelease",
    "Workflow",
    "WorkflowStep",
]

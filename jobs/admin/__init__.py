"""The operators' console in the Django admin. It calls the verbs that commands and tests call; it holds no logic."""

from django.apps import apps
from django.contrib import admin

from jobs.admin import overview
from jobs.admin.alerts import IncidentAdmin
from jobs.admin.audit_log import AuditEntryAdmin
from jobs.admin.batches import BatchAdmin
from jobs.admin.bulk_actions import BulkActionAdmin
from jobs.admin.circuits_and_locks import CircuitsAndLocksAdmin
from jobs.admin.dead_jobs import DeadJobAdmin
from jobs.admin.failures import FailureCauseAdmin
from jobs.admin.fuses import FuseAdmin
from jobs.admin.markers import EffectAdmin, SentEmailAdmin
from jobs.admin.metrics import MetricAdmin
from jobs.admin.queues import QueueAdmin
from jobs.admin.recovery_rules import RecoveryRuleAdmin
from jobs.admin.runs import RunAdmin
from jobs.admin.schedules import ScheduleAdmin
from jobs.admin.workers import WorkerAdmin
from jobs.admin.workflows import WorkflowAdmin
from jobs.models import (
    AuditEntry,
    Batch,
    BulkAction,
    CircuitsAndLocks,
    DeadJob,
    Effect,
    FailureCause,
    Fuse,
    Incident,
    JobRun,
    MetricMinute,
    QueuePause,
    RecoveryRule,
    Schedule,
    SentEmail,
    WorkerProcess,
    Workflow,
)

overview.install(admin.site)
admin.site.register(JobRun, RunAdmin)
admin.site.register(DeadJob, DeadJobAdmin)
admin.site.register(FailureCause, FailureCauseAdmin)
admin.site.register(Batch, BatchAdmin)
admin.site.register(Workflow, WorkflowAdmin)
admin.site.register(BulkAction, BulkActionAdmin)
admin.site.register(RecoveryRule, RecoveryRuleAdmin)
admin.site.register(QueuePause, QueueAdmin)
admin.site.register(WorkerProcess, WorkerAdmin)
admin.site.register(Schedule, ScheduleAdmin)
admin.site.register(Fuse, FuseAdmin)
admin.site.register(Incident, IncidentAdmin)
admin.site.register(CircuitsAndLocks, CircuitsAndLocksAdmin)
admin.site.register(Effect, EffectAdmin)
admin.site.register(SentEmail, SentEmailAdmin)
admin.site.register(MetricMinute, MetricAdmin)
admin.site.register(AuditEntry, AuditEntryAdmin)
# Without it the check `jobs.E004` has something to say, which an import of its models would not let it.
if apps.is_installed("django_rq"):
    from jobs.admin import guard

    guard.install()

"""The operators' console in the Django admin. It calls the verbs that commands and tests call; it holds no logic."""

from django.contrib import admin

from jobs.admin import guard
from jobs.admin.audit_log import AuditEntryAdmin
from jobs.admin.dead_jobs import DeadJobAdmin
from jobs.admin.emails import SentEmailAdmin
from jobs.admin.runs import RunAdmin
from jobs.models import AuditEntry, DeadJob, JobRun, SentEmail

admin.site.register(JobRun, RunAdmin)
admin.site.register(DeadJob, DeadJobAdmin)
admin.site.register(SentEmail, SentEmailAdmin)
admin.site.register(AuditEntry, AuditEntryAdmin)
guard.install()

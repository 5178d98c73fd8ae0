"""Who may open a page and who may act from it. A refused action is written down; a refused look is not."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from jobs import audit
from jobs.admin import sections, shell

VIEW_CONSOLE = sections.VIEW_CONSOLE
REQUEUE = "jobs.requeue_job"
DISCARD = "jobs.discard_job"
CANCEL = "jobs.cancel_job"
STOP = "jobs.stop_job"
RESCHEDULE = "jobs.reschedule_job"
MANAGE_RECOVERY = "jobs.manage_recovery"
FAILURES = "jobs.manage_failures"
MANAGE_ALERTS = "jobs.manage_alerts"
MANAGE_FUSES = "jobs.manage_fuses"
CIRCUITS = "jobs.manage_circuit"
LOCKS = "jobs.release_lock"
WORKFLOWS = "jobs.manage_workflow"
RELEASE = "jobs.release_effect"
PAUSE_QUEUE = "jobs.pause_queue"
CLEAR_QUEUE = "jobs.clear_queue"
QUIET_WORKER = "jobs.quiet_worker"
STOP_WORKER = "jobs.stop_worker"
PAUSE_SCHEDULE = "jobs.pause_schedule"
RUN_SCHEDULE = "jobs.run_schedule"
EDIT_SCHEDULE = "jobs.edit_schedule"
EDIT = "jobs.edit_job"
ENQUEUE = "jobs.enqueue_job"
EXPORT = "jobs.export_jobs"
SHARE_VIEW = "jobs.share_view"
VIEW_PAYLOAD = "jobs.view_payload"
VIEW_AUDIT = sections.VIEW_AUDIT


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the person asking has this permission."""
    return bool(request.user.has_perm(permission))


def actor(request: HttpRequest) -> str:
    """The name that the audit keeps."""
    return request.user.get_username()


def address(request: HttpRequest) -> str:
    """Where the request came from, as the web server saw it."""
    return str(request.META.get("REMOTE_ADDR", ""))


def who(request: HttpRequest) -> dict[str, Any]:
    """Who asks and from where, as verbs take it."""
    return {"actor": actor(request), "address": address(request)}


def refusal(request: HttpRequest, permission: str, *, action: str, target: str) -> HttpResponse | None:
    """What a person without the permission is answered, None for others. A look is not recorded, a POST is."""
    if may(request, permission):
        return None
    return refuse(request, permission, action=action if request.method == "POST" else "", target=target)


def refuse(request: HttpRequest, permission: str, *, action: str = "", target: str = "") -> HttpResponse:
    """The page that says which permission is missing, status 403. With `action` the refusal is recorded.

    It is answered and not raised, so that no transaction around the request takes the record back.
    """
    if action:
        audit.record(actor=actor(request), action=action, target=target, address=address(request), outcome="refused")
    return forbidden(request, _("Your account lacks the permission %(permission)s.") % {"permission": permission})


def forbidden(request: HttpRequest, why: str) -> HttpResponse:
    """The console's page of status 403."""
    cure = _("Nothing was changed. Whoever administers users can grant permissions, under Users or by a group.")
    return _plain_page(request, title=_("Not allowed"), why=why, cure=cure, status=403)


def unavailable(request: HttpRequest, why: str) -> HttpResponse:
    """The console's page of status 503, for what only Redis knows."""
    cure = _("Runs, dead jobs, e-mails and audit are in the database: those pages work meanwhile.")
    return _plain_page(request, title=_("Redis does not answer"), why=why, cure=cure, status=503)


def _plain_page(request: HttpRequest, *, status: int, **context: str) -> HttpResponse:
    return render(request, "admin/jobs/plain.html", {**shell.context(request, admin.site), **context}, status=status)

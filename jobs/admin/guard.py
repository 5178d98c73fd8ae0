"""django-rq's own pages under the console's permissions. They look; what they would change is refused.

django-rq asks only whether a person is staff, and its buttons act on Redis behind the record's back:
the run's row, its history and the audit would say something else than what happened.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from django_rq.queues import get_queue_by_index
from django_rq.utils import get_cron_schedulers, get_scheduler_statistics

from jobs import audit, conf
from jobs.admin import access, shell
from jobs.admin.console import without_nul
from jobs.admin.run_terms import find_run
from jobs.broker import inspect
from jobs.broker.connection import errors_named, impatient
from jobs.errors import BrokerUnavailable
from jobs.models import JobRun

View = Callable[..., HttpResponseBase]
_PREFIX = "django_rq_"
# What the front page counts, by the names of the pages that list it.
_COLUMNS = (
    ("jobs", gettext_lazy("Queued")),
    ("started_jobs", gettext_lazy("Running")),
    ("scheduled_jobs", gettext_lazy("Scheduled")),
    ("deferred_jobs", gettext_lazy("Deferred")),
    ("finished_jobs", gettext_lazy("Finished")),
    ("failed_jobs", gettext_lazy("Failed")),
    ("workers", gettext_lazy("Workers")),
)
_OVERVIEWS = {"home", "dashboard_changelist"}
_READS = {
    "jobs",
    "queue_details",
    "finished_jobs",
    "failed_jobs",
    "scheduled_jobs",
    "started_jobs",
    "deferred_jobs",
    "workers",
    "worker_details",
    "scheduler_jobs",
    "cron_scheduler_detail",
    "cron_job_detail",
}
# So django-rq says, in turn, that a worker has gone, that an id or key is none, that a number is beyond its list,
# and that RQ Scheduler is not installed.
_NOT_THERE = (AssertionError, ValueError, IndexError, OverflowError, ImproperlyConfigured)
# They show arguments and results as they are.
_UNMASKED = {"job_detail", "result_detail"}
# A token opens these to monitoring; a person needs the permission.
_BY_TOKEN = {"home_json"}
# Its scrapes clean registries up and make a series of each worker's name: ours are at /metrics.
_GONE = {"metrics"}


class GuardedDashboard(QueueAdmin):
    """django-rq's pages: reading takes `jobs.view_console`, and nothing can be changed from them."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may(request, access.VIEW_CONSOLE)

    def has_module_permission(self, request: HttpRequest) -> bool:
        # Nothing leads there: our own pages of queues and workers do what these cannot.
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        # Named by its model, the list is not among django-rq's own patterns.
        return [self._guarded(pattern) for pattern in super().get_urls()]

    def overview(self, request: HttpRequest, **captured: Any) -> HttpResponse:
        """What django-rq's front page tells, in the console's shape and without that page's clean-up."""
        request.current_app = self.admin_site.name
        context = {
            **shell.context(request, self.admin_site),
            "title": _("RQ's own pages"),
            "opts": JobRun._meta,
            "columns": _COLUMNS,
            "queues": [_numbers(index) for index in range(len(conf.queue_names()))],
            **get_scheduler_statistics(),
            "view_metrics": False,
            "cron_schedulers": get_cron_schedulers(),
        }
        return render(request, "admin/jobs/rq_queues.html", context)

    def _guarded(self, pattern: URLPattern) -> URLPattern:
        name = (pattern.name or "").removeprefix(_PREFIX)
        if name in _GONE:
            view: View = _gone
        elif name in _BY_TOKEN:
            view = _by_token(pattern.callback)
        else:
            view = self.admin_site.admin_view(without_nul(self._inside(name, pattern.callback)))
        return URLPattern(pattern.pattern, view, pattern.default_args, pattern.name)

    def _inside(self, name: str, view: View) -> View:
        if name in _OVERVIEWS:
            return _reading(require_safe(self.overview))
        if name in _READS:
            return _reading(require_safe(view))
        if name in _UNMASKED:
            return _reading(require_safe(_unmasked(view)))
        return _refusing(name)


def install(site: admin.AdminSite = admin.site) -> None:
    """Put the guard in the place of django-rq's admin, where that is registered."""
    if site.is_registered(Dashboard):
        site.unregister(Dashboard)
        site.register(Dashboard, GuardedDashboard)


def _numbers(index: int) -> dict[str, Any]:
    """What the front page shows of a queue, by django-rq's names of the pages that list it.

    A registry's length, in RQ, cleans the registry first; these do not.
    """
    queue = get_queue_by_index(index)
    counts = {
        "jobs": queue.count,
        "started_jobs": queue.started_job_registry.get_job_count(cleanup=False),
        "scheduled_jobs": queue.scheduled_job_registry.get_job_count(cleanup=False),
        "deferred_jobs": queue.deferred_job_registry.get_job_count(cleanup=False),
        "finished_jobs": queue.finished_job_registry.get_job_count(cleanup=False),
        "failed_jobs": queue.failed_job_registry.get_job_count(cleanup=False),
        "workers": queue.connection.scard(f"rq:workers:{queue.name}"),
    }
    return {
        "name": queue.name,
        "index": index,
        "workers": counts["workers"],
        "counts": [(page, label, counts[page]) for page, label in _COLUMNS],
    }


def _answers() -> None:
    """Raises `BrokerUnavailable` where Redis is away, within a second: django-rq's own connections wait longer."""
    with impatient():
        inspect.ping()


def _reading(view: View) -> View:
    def guarded(request: HttpRequest, **captured: Any) -> HttpResponseBase:
        if not access.may(request, access.VIEW_CONSOLE):
            return access.refuse(request, access.VIEW_CONSOLE)
        if captured.get("queue_index", 0) >= len(conf.queue_names()):
            raise Http404(_("There is no such queue."))
        try:
            _answers()
            with errors_named():
                return view(request, **captured)
        except BrokerUnavailable as error:
            return access.unavailable(request, str(error))
        except _NOT_THERE as error:
            raise Http404(_("There is nothing of that name or number, or not any more.")) from error

    return update_wrapper(guarded, view)


def _unmasked(view: View) -> View:
    """Our own page of the run, where there is one: it masks. What has none takes `jobs.view_payload`."""

    def guarded(request: HttpRequest, job_id: str, **captured: Any) -> HttpResponseBase:
        if run := find_run(job_id):
            return redirect("admin:jobs_jobrun_change", pk=run.pk)
        if not access.may(request, access.VIEW_PAYLOAD):
            return access.refuse(request, access.VIEW_PAYLOAD)
        return view(request, job_id=job_id, **captured)

    return update_wrapper(guarded, view)


def _refusing(name: str) -> View:
    def refused(request: HttpRequest, **captured: Any) -> HttpResponseBase:
        if not access.may(request, access.VIEW_CONSOLE):
            return access.refuse(request, access.VIEW_CONSOLE)
        if request.method == "POST":
            target = " ".join(str(value) for value in captured.values())
            audit.record(
                actor=access.actor(request),
                action=f"django-rq {name}",
                target=target,
                address=access.address(request),
                outcome="refused",
            )
        why = _(
            "django-rq's buttons act without permission, reason or record, so they are off. "
            "Retry, discard and cancel are in the console, under Dead jobs and Runs."
        )
        return access.forbidden(request, why)

    return refused


def _gone(request: HttpRequest, **captured: Any) -> HttpResponse:
    raise Http404(_("django-rq's metrics are off. Scrape /metrics, which jobs.urls has."))


def _by_token(view: View) -> View:
    def guarded(request: HttpRequest, **captured: Any) -> HttpResponseBase:
        # django-rq lets all staff in without a token. Who may not see the console counts as nobody here.
        if not access.may(request, access.VIEW_CONSOLE):
            request.user = AnonymousUser()
        try:
            _answers()
            with errors_named():
                return view(request, **captured)
        except BrokerUnavailable:
            return JsonResponse({"error": "Redis does not answer"}, status=503)

    return update_wrapper(guarded, view)

"""The pages about dead jobs: the list, and retry or discard of chosen ones or of all that match."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs import causes, conf, dead, registry, retention
from jobs.admin import access, acting, bulk_actions, search, undoing
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.dead_filter import DeadFilter, Selection
from jobs.admin.keyset import COUNT_CAP, capped_counts, key_or_none, page_asked
from jobs.admin.ramp_form import MANY, RampForm
from jobs.dead import Tally
from jobs.models import DeadJob, FailureCause
from jobs.models.bulk import BulkVerb
from jobs.models.dead import DeathReason
from jobs.policy.ramp import CHUNK

SHOWN_CAUSES = 10
SHOWN_SAMPLES = 20
_LISTED = (
    "run_id",
    "name",
    "queue",
    "reason",
    "error_class",
    "error_message",
    "died_at",
    "resolution",
    "resolved_at",
    "resolved_by",
    "note",
    "run__arguments",
    "run__attempts",
    "run__max_attempts",
    "run__ended_at",
    "cause",
)


def _retry(count: int) -> str:
    return ngettext("Retry %(count)d dead job?", "Retry %(count)d dead jobs?", count) % {"count": count}


def _retried(count: int) -> str:
    return ngettext("%(count)d dead job retried.", "%(count)d dead jobs retried.", count) % {"count": count}


def _discard(count: int) -> str:
    return ngettext("Discard %(count)d dead job?", "Discard %(count)d dead jobs?", count) % {"count": count}


def _discarded(count: int) -> str:
    return ngettext("%(count)d dead job discarded.", "%(count)d dead jobs discarded.", count) % {"count": count}


ACTIONS = acting.named(
    Action(
        name="retry",
        recorded="requeue",
        permission=access.REQUEUE,
        label=gettext_lazy("Retry"),
        button=gettext_lazy("Retry"),
        verb=dead.requeue_all,
        done=_retried,
        question=_retry,
        consequence=gettext_lazy(
            "Each goes back to its queue with all its attempts ahead of it, and starts as soon as a worker is free."
        ),
    ),
    Action(
        name="discard",
        recorded="discard",
        permission=access.DISCARD,
        label=gettext_lazy("Discard"),
        button=gettext_lazy("Discard"),
        verb=dead.discard_all,
        done=_discarded,
        question=_discard,
        consequence=gettext_lazy(
            "None of them will run again, and their work stays undone. "
            "Their records are kept, with your reason. For some days this can be undone."
        ),
        destroys=True,
    ),
)
_IN_BACKGROUND = {"retry": BulkVerb.REQUEUE, "discard": BulkVerb.DISCARD}


class DeadJobAdmin(ConsoleAdmin):
    """Dead jobs: those that wait for a person first, then those that a person has dealt with."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("undo/", self.undo_page, "undo", True),
            ("<slug:name>/", self.bulk_page, "bulk", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = DeadFilter.read(request.GET)
        page = page_asked(asked.rows().select_related("run").only(*_LISTED), request.GET)
        matches = _capped_count(asked.rows())
        return self.page(
            request,
            "dead.html",
            title=_("Dead jobs"),
            asked=asked,
            page=page,
            matches=min(matches, COUNT_CAP),
            more_matches=matches > COUNT_CAP,
            causes=_causes(asked) if page.rows and asked.is_open and not asked.cause else [],
            actions=[each for each in ACTIONS.values() if access.may(request, each.permission)],
            last_death=None if page.rows else _last_death(),
            is_full=retention.is_full(),
            keep_dead=conf.get().KEEP_DEAD,
            bulk_query=asked.query(),
            may_undo=access.may(request, access.DISCARD),
            reasons=DeathReason.choices,
            queues=search.offered(conf.queue_names(), asked.asked.get("queue")),
            jobs=search.offered(registry.names(), asked.asked.get("job")),
        )

    def undo_page(self, request: HttpRequest) -> HttpResponse:
        return undoing.undo_page(self, request)

    def bulk_page(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show what would happen, on GET; do it, on POST, to no more than what was shown."""
        action = ACTIONS.get(name)
        if action is None:
            raise Http404(name)
        if refused := access.refusal(request, action.permission, action=action.recorded, target="dead jobs"):
            return refused
        selection = Selection.read(request.POST if request.method == "POST" else request.GET)
        if request.method != "POST" or not selection.is_frozen:
            return self._preview(request, action, selection.frozen(timezone.now()))
        count = key_or_none(request.POST.get("count"), int)
        form = RampForm.read(request.POST, count=count, typed=(count or 0) > MANY)
        if not count or form.problems or acting.lacks_reason(request, action):
            return self._preview(request, action, selection.frozen(timezone.now()), form=form)
        return _do(request, action, selection, form, count=count)

    def _preview(
        self, request: HttpRequest, action: Action, selection: Selection, *, form: RampForm | None = None
    ) -> HttpResponse:
        limit = conf.get().BULK_LIMIT
        chosen = selection.rows()
        found = chosen[: limit + 1].count()
        count = min(found, limit)
        many = count > MANY
        return self.page(
            request,
            "bulk.html",
            title=acting.text_of(action.question, count) if count else _("Nothing to do"),
            action=action,
            selection=selection,
            asked=selection.filter,
            up_to=selection.up_to,
            count=count,
            limit=limit if found > limit else None,
            grouped_by=_("By job, queue and error"),
            groups=_groups(chosen, count),
            samples=list(chosen.select_related("run").only(*_LISTED)[:SHOWN_SAMPLES]),
            reason=request.POST.get("reason", ""),
            reason_missing=form is not None and acting.lacks_reason(request, action),
            form=form or RampForm.offered(ramps=many and not action.destroys),
            many=many,
            ramps=not action.destroys,
            key=uuid.uuid4().hex,
            back=f"{reverse('admin:jobs_deadjob_changelist')}?{selection.filter.query()}",
        )


def _do(request: HttpRequest, action: Action, selection: Selection, form: RampForm, *, count: int) -> HttpResponse:
    back = redirect("admin:jobs_deadjob_changelist")
    if selection.filter.problems:
        messages.error(request, " ".join(selection.filter.problems))
        return back
    if form.ramp.is_watched or count > CHUNK:
        return _in_background(request, action, selection, form, count=count)
    if refused := bulk_actions.too_many(request, action.recorded):
        return refused
    tally = action.verb(
        selection.rows(),
        reason=acting.reason_of(request),
        limit=min(count, conf.get().BULK_LIMIT),
        filter=selection.for_audit(),
        **access.who(request),
    )
    _tell(request, action, tally, expected=count)
    return back


def _in_background(
    request: HttpRequest, action: Action, selection: Selection, form: RampForm, *, count: int
) -> HttpResponse:
    return bulk_actions.ask(
        request,
        _IN_BACKGROUND[action.name],
        selection.for_bulk(),
        ramp=replace(form.ramp, canary=0) if action.destroys else form.ramp,
        up_to=selection.up_to,
        limit=count,
    )


def _tell(request: HttpRequest, action: Action, tally: Tally, *, expected: int) -> None:
    """How many were done, and how many were left alone and why."""
    if tally.done:
        messages.success(request, acting.text_of(action.done, tally.done))
    left = dict(tally.left)
    gone = expected - tally.done - sum(left.values())
    if gone > 0:
        left[_("already resolved")] = gone
    acting.tell_left(request, left)
    if not tally.done and not left:
        messages.warning(request, _("Nothing was changed: no dead job matched any more."))


def _last_death() -> datetime | None:
    return DeadJob.objects.order_by("-pk").values_list("died_at", flat=True).first()


def _capped_count(rows: QuerySet[DeadJob]) -> int:
    return capped_counts({"matches": rows}, on=DeadJob.objects.all())["matches"]


def _causes(asked: DeadFilter) -> list[tuple[FailureCause, int]]:
    """The commonest causes of all open dead jobs, or of the latest that match, and how many each has."""
    counts = dict(_counted_by_cause(asked)[:SHOWN_CAUSES])
    there = FailureCause.objects.in_bulk(counts)
    return [(there[key], count) for key, count in counts.items() if key in there]


def _counted_by_cause(asked: DeadFilter) -> list[tuple[int, int]]:
    if not asked.narrows:
        # An index has the answer to this one, for any number.
        return [(each.cause, each.count) for each in causes.open_dead() if each.cause is not None]
    latest = asked.rows().order_by("-pk").values("pk")[:COUNT_CAP]
    rows = DeadJob.objects.filter(pk__in=latest, cause__isnull=False).order_by().values("cause")
    return list(rows.annotate(count=Count("pk")).order_by("-count", "cause").values_list("cause", "count"))


def _groups(rows: QuerySet[DeadJob], count: int) -> list[dict[str, Any]]:
    """Counts by job, queue and error of the first so many: what the action would touch."""
    if not count:
        return []
    last = rows.values_list("pk", flat=True)[count - 1 : count]
    touched = rows.filter(pk__lte=last[0]).order_by().values("name", "queue", "error_class")
    return [dict(each) for each in touched.annotate(count=Count("pk")).order_by("-count", "name")]

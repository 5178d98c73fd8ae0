"""The pages about schedules: which there are and how they stand, one of them, and what people do with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from jobs import conf
from jobs.admin import access, acting, audit_log, schedule_actions, schedule_editing
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.redis_now import answers
from jobs.admin.schedule_actions import ACTIONS, IN_LIST, LIST, ONE
from jobs.models import Schedule, ScheduleEdit
from jobs.schedules import looking, rows, standing

PAGE_SIZE = 50
SHOWN_TICKS = 20
SHOWN_EDITS = 20
SHOWN = {
    "": gettext_lazy("All"),
    "late": gettext_lazy("Did not start"),
    "overdue": gettext_lazy("Not looked at"),
    "paused": gettext_lazy("Paused"),
    "drift": gettext_lazy("Other than the code"),
    "people": gettext_lazy("Added by people"),
}


class ScheduleAdmin(ConsoleAdmin):
    """Schedules: what they say in words, when they are due, how they stand, and what was changed in them."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("add/", self.add_page, "add", True),
            ("<int:pk>/", self.one_page, "change", False),
            ("<int:pk>/edit/", self.edit_page, "edit", True),
            ("<int:pk>/revert/<int:edit>/", self.revert_page, "revert", True),
            ("<int:pk>/<slug:name>/", self.action_page, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        now = timezone.now()
        conditions = {"": Q(), "people": Q(by_code=False), **standing.conditions(now)}
        shown = request.GET.get("shown", "")
        shown = shown if shown in SHOWN else ""
        text = request.GET.get("q", "").strip()[:200]
        found = Schedule.objects.filter(Q(name__icontains=text) | Q(job__icontains=text))
        some = list(found.filter(conditions[shown] & _after(request)).order_by("name")[: PAGE_SIZE + 1])
        counts = found.aggregate(
            **{name or "all": Count("pk", filter=conditions[name]) for name in SHOWN},
        )
        return self.page(
            request,
            "schedules.html",
            title=_("Schedules"),
            tabs=[(name, label, counts[name or "all"]) for name, label in SHOWN.items()],
            shown=shown,
            text=text,
            there=standing.seen(some[:PAGE_SIZE], now=now, language=get_language() or ""),
            after=some[PAGE_SIZE - 1].name if len(some) > PAGE_SIZE else "",
            offered={one.pk: acting.offered(request, IN_LIST, one) for one in some},
            may_edit=access.may(request, access.EDIT_SCHEDULE),
            without_row=looking.without_row(),
            is_down=not answers(),
        )

    def one_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        schedule, now = schedule_actions.find(pk), timezone.now()
        ticks = list(schedule.ticks.order_by("-due_at")[: SHOWN_TICKS + 1])
        edits = schedule.edits.order_by("-pk")[:SHOWN_EDITS]
        return self.page(
            request,
            "schedule.html",
            title=schedule.name,
            schedule=schedule,
            seen=standing.seen([schedule], now=now, language=get_language() or "")[0],
            ticks=standing.with_runs(ticks[:SHOWN_TICKS], now=now),
            more_ticks=len(ticks) > SHOWN_TICKS,
            arguments=rows.shown_arguments(schedule),
            edits=[schedule_actions.shown_edit(edit, schedule) for edit in edits],
            actions=acting.offered(request, ACTIONS, schedule),
            may_edit=access.may(request, access.EDIT_SCHEDULE),
            is_down=not answers(),
            project=conf.get(),
            audit_entries=audit_log.latest(request, str(schedule)[:300]),
        )

    def add_page(self, request: HttpRequest) -> HttpResponse:
        return schedule_editing.add_page(self, request)

    def edit_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        return schedule_editing.edit_page(self, request, pk)

    def revert_page(self, request: HttpRequest, pk: int, edit: int) -> HttpResponse:
        edits = ScheduleEdit.objects.select_related("schedule")
        return acting.act(
            self,
            request,
            schedule_actions.REVERT,
            lambda: get_object_or_404(edits, pk=schedule_actions.key(edit), schedule=schedule_actions.key(pk)),
            target=schedule_actions.target(pk),
            back=reverse(ONE, args=[pk]),
            template="schedule_revert.html",
            shown=lambda found: {
                "schedule": found.schedule,
                "edit": schedule_actions.shown_edit(found, found.schedule),
            },
        )

    def action_page(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: schedule_actions.find(pk),
            target=schedule_actions.target(pk),
            back=reverse(LIST) if name == "remove" else reverse(ONE, args=[pk]),
            given=lambda schedule: schedule_actions.given(name, schedule, request.POST),
            template="schedule_act.html",
            shown=lambda schedule: _about(request, schedule),
        )


def _about(request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
    """What a page says of the schedule before something is done with it."""
    now = timezone.now()
    return {
        "schedule": schedule,
        "seen": standing.seen([schedule], now=now, language=get_language() or "")[0],
        "latest": schedule_actions.latest_by_hand(schedule, now=now),
        "arguments": rows.shown_arguments(schedule),
        "until": request.POST.get("until", ""),
        "is_down": not answers(),
    }


def _after(request: HttpRequest) -> Q:
    return Q(name__gt=request.GET.get("after", "")[:200])

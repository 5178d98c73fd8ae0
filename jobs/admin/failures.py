"""The pages about failures: the list of causes, one cause's page, and what can be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import causes, dead, registry
from jobs.admin import access, acting, audit_log, search
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import PAGE_SIZE, key_or_none
from jobs.errors import did_you_mean
from jobs.models import FailureCause, JobRun
from jobs.models.causes import CauseState
from jobs.policy.ages import parse_age

SHOWN_BURIALS = 10
OPEN, ALL = "open", "all"
_TABS = (
    (OPEN, gettext_lazy("Open")),
    (CauseState.SNOOZED.value, gettext_lazy("Snoozed")),
    (CauseState.IGNORED.value, gettext_lazy("Ignored")),
    (CauseState.RESOLVED.value, gettext_lazy("Resolved")),
    (ALL, gettext_lazy("All")),
)


@dataclass
class CauseFilter:
    """A question about causes, as its URL carries it."""

    asked: dict[str, str]
    problems: list[str] = field(default_factory=list)
    within: timedelta | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> CauseFilter:
        """The question in a query string."""
        fields = ("shown", "job", "error", "seen")
        made = cls({name: value for name in fields if (value := query.get(name, "").strip())})
        if job := made.asked.get("job"):
            made.asked["job"] = registry.full_name(job)
        try:
            made.within = parse_age(text) if (text := made.asked.get("seen")) else None
        except ValueError as error:
            made.problems.append(str(error))
        if made.shown not in (known := [name for name, _label in _TABS]):
            text = _('There is no list "%(value)s".%(hint)s')
            made.problems.append(text % {"value": made.shown, "hint": did_you_mean(made.shown, known)})
        return made

    @property
    def shown(self) -> str:
        """Which of the lists."""
        return self.asked.get("shown", OPEN)

    @property
    def narrows(self) -> bool:
        """Whether anything is asked for beside which list."""
        return any(name != "shown" for name in self.asked)

    @property
    def only_seen(self) -> str:
        """The time within which they were seen, where nothing else is asked for."""
        return "" if {"job", "error"} & set(self.asked) else self.asked.get("seen", "")

    def rows(self) -> QuerySet[FailureCause]:
        """The causes asked for; none while the question is not understood."""
        if self.problems:
            return FailureCause.objects.none()
        return causes.matching(
            state=None if self.shown == ALL else self.shown,
            name=self.asked.get("job"),
            error=self.asked.get("error"),
            since=None if self.within is None else timezone.now() - self.within,
        )


def _has_not(state: CauseState) -> Callable[[FailureCause], bool]:
    return lambda cause: cause.state != state


def _note(cause: FailureCause, *, text: str, reason: str, **who: str) -> None:
    causes.note(cause, text, **who)


# The first is what Enter does in a field of their form, so it is what does the least.
ACTIONS = acting.named(
    Action(
        name="snooze",
        recorded="snooze cause",
        permission=access.FAILURES,
        label=gettext_lazy("Snooze"),
        verb=causes.snooze,
        done=gettext_lazy("Snoozed. It is counted meanwhile, and comes back when the time is over."),
    ),
    Action(
        name="resolve",
        recorded="resolve cause",
        permission=access.FAILURES,
        label=gettext_lazy("Resolve"),
        verb=causes.resolve,
        done=gettext_lazy("Resolved. If it is seen again, it comes back as regressed."),
        fits=_has_not(CauseState.RESOLVED),
    ),
    Action(
        name="ignore",
        recorded="ignore cause",
        permission=access.FAILURES,
        label=gettext_lazy("Ignore"),
        verb=causes.ignore,
        done=gettext_lazy("Ignored. It is counted, and stays out of the list of open ones."),
        fits=_has_not(CauseState.IGNORED),
    ),
    Action(
        name="reopen",
        recorded="reopen cause",
        permission=access.FAILURES,
        label=gettext_lazy("Reopen"),
        verb=causes.reopen,
        done=gettext_lazy("Reopened."),
        fits=_has_not(CauseState.NEW),
    ),
    Action(
        name="note",
        recorded="note cause",
        permission=access.FAILURES,
        label=gettext_lazy("Keep the note"),
        verb=_note,
        done=gettext_lazy("Noted."),
    ),
)


class FailureCauseAdmin(ConsoleAdmin):
    """What fails, one row for all failures of one kind, and what people said of it."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("<int:pk>/", self.cause_page, "change", False),
            ("<int:pk>/<slug:name>/", self.act, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = CauseFilter.read(request.GET)
        rows, older = _page(asked.rows(), request.GET.get("older"))
        return self.page(
            request,
            "failures.html",
            title=_("Failures"),
            asked=asked,
            tabs=_TABS,
            rows=_with_dead(rows),
            older=older,
            is_later="older" in request.GET,
            samples=_there(rows),
            jobs=search.offered(registry.names(), asked.asked.get("job")),
        )

    def cause_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        cause = get_object_or_404(FailureCause, pk=key_or_none(str(pk), int))
        return self.page(
            request,
            "failure.html",
            title=cause.name,
            cause=cause,
            dead=_with_dead([cause])[0][1],
            burials=list(dead.matching(cause=cause).select_related("run").order_by("-pk")[:SHOWN_BURIALS]),
            sample=_there([cause]),
            may_act=access.may(request, access.FAILURES),
            may_retry=access.may(request, access.REQUEUE),
            may_fuse=access.may(request, access.MANAGE_FUSES),
            actions=acting.offered(request, ACTIONS, cause),
            audit_entries=audit_log.latest(request, causes.target_of(cause)),
        )

    def act(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Say something of a cause, on POST. Its page has the forms."""
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: get_object_or_404(FailureCause, pk=key_or_none(str(pk), int)),
            target=f"cause {pk}",
            back=reverse("admin:jobs_failurecause_change", args=[pk]),
            given=lambda cause: _given(request, name),
        )


def _given(request: HttpRequest, name: str) -> dict[str, Any]:
    """What the form says beside the reason. Raises ValueError for a length of time that is none."""
    if name == "note":
        return {"text": request.POST.get("note", "")}
    if name == "snooze":
        return {"until": timezone.now() + parse_age(request.POST.get("for", ""))}
    return {}


def _page(rows: QuerySet[FailureCause], older: str | None) -> tuple[list[FailureCause], str | None]:
    """The causes that were last seen before a place in the list, and the place where the next ones begin."""
    if place := _place(older):
        at, pk = place
        rows = rows.filter(Q(last_seen_at__lt=at) | Q(last_seen_at=at, pk__lt=pk))
    found = list(rows[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    more = len(found) > PAGE_SIZE
    return shown, f"{shown[-1].last_seen_at.isoformat()}~{shown[-1].pk}" if more else None


def _place(text: str | None) -> tuple[datetime, int] | None:
    at, _tilde, pk = (text or "").partition("~")
    found = key_or_none(at, search.parse_iso), key_or_none(pk, int)
    return None if found[0] is None or found[1] is None else found


def _with_dead(rows: list[FailureCause]) -> list[tuple[FailureCause, causes.OpenDead | None]]:
    """Each cause with its open dead jobs, None where it has none."""
    counted = {each.cause: each for each in causes.open_dead(among=[cause.pk for cause in rows])}
    return [(cause, counted.get(cause.pk)) for cause in rows]


def _there(rows: list[FailureCause]) -> set[Any]:
    """Those of the causes' latest runs that retention has left."""
    wanted = [cause.last_run for cause in rows if cause.last_run]
    return set(JobRun.objects.filter(pk__in=wanted).values_list("pk", flat=True))

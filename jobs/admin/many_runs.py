"""Retry, run now, cancel or discard runs that were ticked, or all that a search matches: shown first, then done in the
background.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import bulk, conf, dead, pending, runs
from jobs.admin import access, acting, bulk_actions
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin
from jobs.admin.keyset import COUNT_CAP, PAGE_SIZE, key_or_none
from jobs.admin.ramp_form import MANY, RampForm
from jobs.admin.run_filter import RunFilter
from jobs.admin.search import parse_iso
from jobs.models import JobRun, RunState
from jobs.models.bulk import BulkVerb

SHOWN_SAMPLES = 20
# Their ids are kept with the action, as a search may mean other runs by the time that it comes to them.
MOST = 10_000


MANY_RUNS = acting.named(
    Action(
        name="retry",
        recorded="bulk requeue ask",
        permission=access.REQUEUE,
        label=gettext_lazy("Retry"),
        button=gettext_lazy("Retry"),
        verb=partial(bulk_actions.ask, verb=BulkVerb.REQUEUE),
        question=gettext_lazy("Retry these runs?"),
        consequence=gettext_lazy("Those that are dead go back to their queues with all their attempts ahead of them."),
    ),
    Action(
        name="run-now",
        recorded="bulk run_now ask",
        permission=access.RESCHEDULE,
        label=gettext_lazy("Run now"),
        button=gettext_lazy("Run now:"),
        verb=partial(bulk_actions.ask, verb=BulkVerb.RUN_NOW),
        question=gettext_lazy("Run these now?"),
        consequence=gettext_lazy("Those that are due later, or wait for their next try, go to their queues at once."),
    ),
    Action(
        name="cancel",
        recorded="bulk cancel ask",
        permission=access.CANCEL,
        label=gettext_lazy("Cancel"),
        button=gettext_lazy("Cancel"),
        verb=partial(bulk_actions.ask, verb=BulkVerb.CANCEL),
        question=gettext_lazy("Cancel these runs?"),
        consequence=gettext_lazy(
            "They are taken out of their queues and never run. Those that have started by then are left alone."
        ),
        destroys=True,
    ),
    Action(
        name="discard",
        recorded="bulk discard ask",
        permission=access.DISCARD,
        label=gettext_lazy("Discard"),
        button=gettext_lazy("Discard"),
        verb=partial(bulk_actions.ask, verb=BulkVerb.DISCARD),
        question=gettext_lazy("Discard these runs?"),
        consequence=gettext_lazy(
            "Those that are dead will not run again, and their work stays undone. For some days this can be undone."
        ),
        destroys=True,
    ),
)
_DEAD = (RunState.DEAD,)
_STATES: dict[str, Sequence[RunState]] = {
    "retry": _DEAD,
    "run-now": pending.WAITS_FOR_A_TIME,
    "cancel": runs.CANCELLABLE,
    "discard": _DEAD,
}
# Of these the burials are meant, and not the runs: a later one stays out.
_OF_DEAD = ("retry", "discard")


def may_act(request: HttpRequest) -> list[Action]:
    """What this person may do with many runs."""
    return [each for each in MANY_RUNS.values() if access.may(request, each.permission)]


_OF_ALL = {
    "retry": gettext_lazy("Retry all…"),
    "run-now": gettext_lazy("Run all now…"),
    "cancel": gettext_lazy("Cancel all…"),
    "discard": gettext_lazy("Discard all…"),
}


def offered(request: HttpRequest, asked: RunFilter) -> list[tuple[Action, Promise, str]]:
    """The same for all that the search matches, and where. Nothing for a list that nobody narrowed."""
    if not asked.text or asked.problems:
        return []
    query = asked.query()
    return [
        (each, _OF_ALL[each.name], f"{reverse('admin:jobs_jobrun_many', args=[each.name])}?{query}")
        for each in may_act(request)
    ]


@dataclass(frozen=True)
class Chosen:
    """The runs meant: those of `keys`, ticked one by one, or all that the search matches.

    It is frozen when it is shown: what is asked for after `up_to`, or comes of age after `as_of`, stays out.
    """

    filter: RunFilter
    up_to: uuid.UUID
    as_of: datetime
    keys: tuple[uuid.UUID, ...] = ()
    by_hand: bool = False

    @classmethod
    def read(cls, query: QueryDict) -> Chosen:
        """The choice in a query string or a form."""
        keys = [key_or_none(text, uuid.UUID) for text in query.getlist("id")[: 2 * PAGE_SIZE]]
        up_to = key_or_none(query.get("up_to"), uuid.UUID) or _newest()
        as_of = key_or_none(query.get("as_of"), parse_iso) or timezone.now()
        found = RunFilter.read(query, now=as_of)
        return cls(found, up_to, as_of, tuple(key for key in keys if key), "chosen" in query)

    @property
    def is_any(self) -> bool:
        """Whether something is meant; nobody means each run there is."""
        return bool(self.keys) if self.by_hand else bool(self.filter.text)

    def rows(self, states: Sequence[RunState] | None = None) -> QuerySet[JobRun]:
        """The runs meant, oldest first; only those in these states."""
        rows = JobRun.objects.filter(pk__in=self.keys) if self.by_hand else self.filter.rows()
        rows = rows.filter(pk__lte=self.up_to).order_by("pk") if self.is_any else JobRun.objects.none()
        return rows if states is None else rows.filter(state__in=states)

    def words(self) -> dict[str, Any]:
        """How the runs were found, for the audit."""
        return {"chosen": len(self.keys)} if self.by_hand else {"search": self.filter.text}


def many_page(console: ConsoleAdmin, request: HttpRequest, name: str) -> HttpResponse:
    """Show what would happen, on GET; ask for it, on POST, for no more than what was shown."""
    action = MANY_RUNS.get(name)
    if action is None:
        raise Http404(name)
    if refused := access.refusal(request, action.permission, action=action.recorded, target="runs"):
        return refused
    sent = request.POST if request.method == "POST" else request.GET
    chosen = Chosen.read(sent)
    if request.method != "POST":
        return _preview(console, request, action, chosen)
    count = key_or_none(sent.get("count"), int) or 0
    form = RampForm.read(sent, count=count, typed=count > MANY)
    is_frozen = "up_to" in sent and "as_of" in sent
    if not is_frozen or count < 1 or form.problems or not chosen.is_any or acting.lacks_reason(request, action):
        return _preview(console, request, action, chosen, form=form)
    return _ask(request, action, chosen, form, count=min(count, _most()))


def _ask(request: HttpRequest, action: Action, chosen: Chosen, form: RampForm, *, count: int) -> HttpResponse:
    keys: tuple[Any, ...] = tuple(chosen.rows(_STATES[action.name]).values_list("pk", flat=True)[:count])
    if action.name not in _OF_DEAD:
        return action.verb(request, selection=bulk.Selection(keys=keys, told=chosen.words()))
    found = tuple(dead.matching(run_ids=keys).values_list("pk", flat=True))
    ramp = {"ramp": form.ramp} if action.name == "retry" else {}
    return action.verb(request, selection=bulk.Selection(keys=found, told=chosen.words()), **ramp)


def _most() -> int:
    return min(MOST, conf.get().BULK_LIMIT)


def _newest() -> uuid.UUID:
    return JobRun.objects.order_by("-pk").values_list("pk", flat=True).first() or uuid.UUID(int=0)


def _preview(
    console: ConsoleAdmin, request: HttpRequest, action: Action, chosen: Chosen, *, form: RampForm | None = None
) -> HttpResponse:
    most, fit = _most(), chosen.rows(_STATES[action.name])
    keys = list(fit.values_list("pk", flat=True)[: most + 1])
    count = min(len(keys), most)
    many, ramps = count > MANY, action.name == "retry"
    return console.page(
        request,
        "many_runs.html",
        title=str(action.question) if count else _("Nothing to do"),
        action=action,
        asked=chosen.filter,
        chosen=chosen,
        up_to=chosen.up_to,
        count=count,
        limit=most if len(keys) > most else None,
        many=many,
        ramps=ramps,
        grouped_by=_("By job, queue and state"),
        groups=_groups(keys[:count]),
        skipped=_skipped(action, chosen),
        samples=list(JobRun.objects.filter(pk__in=keys[:SHOWN_SAMPLES]).defer("payload", "result").order_by("pk")),
        form=form or RampForm.offered(ramps=ramps and many),
        reason=request.POST.get("reason", ""),
        reason_missing=form is not None and acting.lacks_reason(request, action),
        key=uuid.uuid4().hex,
        back=f"{reverse('admin:jobs_jobrun_changelist')}?{chosen.filter.query()}",
    )


def _groups(keys: Sequence[uuid.UUID]) -> list[Mapping[str, Any]]:
    """Counts by job, queue and state: what the action would touch."""
    counted = JobRun.objects.filter(pk__in=keys).order_by().values("name", "queue", "state").annotate(count=Count("pk"))
    return list(counted.order_by("-count", "name"))


def _skipped(action: Action, chosen: Chosen) -> list[tuple[str, int, bool]]:
    """What matches and cannot be touched, by state: how many, counted no further than the lists do, and if more."""
    others = [state for state in RunState if state not in _STATES[action.name]]
    some = chosen.rows(others).order_by("-pk").values("pk")[: COUNT_CAP + 1]
    counted = JobRun.objects.filter(pk__in=some).order_by().values("state").annotate(count=Count("pk"))
    rows = list(counted.order_by("-count").values_list("state", "count"))
    more = sum(count for _state, count in rows) > COUNT_CAP
    return [(state, count, more) for state, count in rows]

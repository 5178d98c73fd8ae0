"""The pages about fuses: which there are, what one would catch, adding one, lifting one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import fuses, registry
from jobs.admin import access, acting, search
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import page_asked
from jobs.errors import BrokerUnavailable, JobsError
from jobs.fuses import Preview
from jobs.models import Fuse, JobRun
from jobs.models.fuses import FuseAction
from jobs.policy import fusing
from jobs.policy.ages import parse_age

_FIELDS = ("job", "action", "rate", "where", "length")
_SHOWN_EXAMPLES = 10
# Far above what a person types into a form, and far below what a page should carry.
_MOST_CHARACTERS = 4000
CONSEQUENCES = {
    FuseAction.HOLD: gettext_lazy(
        "They wait, and start in their order when the fuse is lifted or its time is over. No attempt is counted."
    ),
    FuseAction.SLOW: gettext_lazy(
        "No more than so many start in that time; the others wait in their order. No attempt is counted."
    ),
    FuseAction.DISCARD: gettext_lazy(
        "They end without having started, and their work stays undone. What is not discarded yet when the fuse is "
        "lifted runs after all."
    ),
}

LIFT = Action(
    name="lift",
    recorded="lift_fuse",
    permission=access.MANAGE_FUSES,
    label=gettext_lazy("Lift"),
    verb=fuses.lift,
    done=gettext_lazy("Lifted: what the fuse kept from starting starts now, in its order."),
    question=gettext_lazy("Lift this fuse?"),
    button=gettext_lazy("Lift the fuse"),
    fits=lambda fuse: fuse.ended_at is None,
)


@dataclass
class FuseForm:
    """A fuse as somebody asks for it, with what is wrong with that. `seen` is what it would catch."""

    asked: dict[str, str]
    where: dict[str, Any] = field(default_factory=dict)
    seconds: float = fusing.DEFAULT_SECONDS
    problems: list[str] = field(default_factory=list)
    seen: Preview | None = None
    examples: list[JobRun] = field(default_factory=list)

    @classmethod
    def read(cls, query: Mapping[str, str]) -> FuseForm:
        """What a form sent, or the link that leads to it."""
        asked = {name: query.get(name, "").strip()[:_MOST_CHARACTERS] for name in _FIELDS}
        made = cls({"action": FuseAction.HOLD, "length": "1h"} | {name: text for name, text in asked.items() if text})
        made._read_where()
        made._read_length()
        return made

    @property
    def job(self) -> str:
        return self.asked.get("job", "")

    @property
    def action(self) -> str:
        return self.asked["action"]

    @property
    def rate(self) -> str:
        return self.asked.get("rate", "") if self.action == FuseAction.SLOW else ""

    @property
    def consequence(self) -> Any:
        return CONSEQUENCES[FuseAction(self.action)]

    def look(self) -> None:
        """See what it would catch, or why it cannot be."""
        if not self.job or self.problems:
            return
        try:
            fusing.check(self.action, rate=self.rate, seconds=self.seconds)
            self.seen = fuses.preview(self.job, self.where)
            self.examples = fuses.examples(self.job, self.where, most=_SHOWN_EXAMPLES)
        except JobsError as error:
            self.problems.append(str(error))

    def _read_where(self) -> None:
        for line in self.asked.get("where", "").splitlines():
            if not line.strip():
                continue
            try:
                name, value = fusing.parse_condition(line)
            except ValueError as error:
                self.problems.append(str(error))
            else:
                self.where[name] = value

    def _read_length(self) -> None:
        try:
            self.seconds = parse_age(self.asked["length"]).total_seconds()
        except ValueError as error:
            self.problems.append(str(error))


class FuseAdmin(ConsoleAdmin):
    """Fuses: those that keep runs from starting first, then those that have ended."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("add/", self.add_page, "add", True),
            ("<int:pk>/lift/", self.lift_page, "lift", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        there = list(Fuse.objects.filter(released_at__isnull=True).order_by("-pk"))
        counts = _caught(there)
        return self.page(
            request,
            "fuses.html",
            title=_("Fuses"),
            there=[(fuse, None if counts is None else counts[fuse.pk]) for fuse in there],
            is_known=counts is not None,
            page=page_asked(Fuse.objects.filter(released_at__isnull=False), request.GET),
            may_manage=access.may(request, access.MANAGE_FUSES),
        )

    def add_page(self, request: HttpRequest) -> HttpResponse:
        """Ask, and show what would be caught, on GET; do, on POST."""
        target = request.POST.get("job", "")[:300]
        if refused := access.refusal(request, access.MANAGE_FUSES, action="add_fuse", target=target):
            return refused
        form = FuseForm.read(request.POST if request.method == "POST" else request.GET)
        reason = acting.reason_of(request)
        form.look()
        if request.method == "POST" and reason and form.seen is not None and _add(request, form, reason):
            return redirect("admin:jobs_fuse_changelist")
        return self.page(
            request,
            "fuse_add.html",
            title=_("Add a fuse"),
            form=form,
            there=fuses.active().filter(name=form.job),
            reason=reason,
            reason_missing=request.method == "POST" and not reason,
            actions=FuseAction.choices,
            jobs=search.offered(registry.names(), registry.full_name(form.job)),
        )

    def lift_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        return acting.act(
            self,
            request,
            LIFT,
            lambda: get_object_or_404(Fuse, pk=pk if pk < 2**63 else 0),
            target=f"fuse {pk}",
            back=reverse("admin:jobs_fuse_changelist"),
            template="fuse_lift.html",
            shown=_shown,
        )


def _shown(fuse: Fuse) -> dict[str, Any]:
    counts = _caught([fuse])
    return {"fuse": fuse, "caught": None if counts is None else sum(counts[fuse.pk].values())}


def _add(request: HttpRequest, form: FuseForm, reason: str) -> bool:
    try:
        fuse = fuses.add(
            form.job,
            action=form.action,
            where=form.where,
            rate=form.rate,
            seconds=form.seconds,
            reason=reason,
            **access.who(request),
        )
    except JobsError as error:
        form.problems.append(str(error))
        return False
    messages.success(request, _("Fuse %(number)d was added to %(job)s.") % {"number": fuse.pk, "job": fuse.name})
    return True


def _caught(there: Sequence[Fuse]) -> dict[int, dict[str, int]] | None:
    """How many runs each fuse has caught, by queue; None where Redis does not say."""
    try:
        return fuses.caught(there)
    except BrokerUnavailable:
        return None

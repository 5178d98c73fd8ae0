"""The page about workers: host, supervisor, process, and what each runs; and what a person can ask of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs import workers
from jobs.admin import access, acting
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.workers import Supervisor

LIST = "admin:jobs_workerprocess_changelist"


@dataclass(frozen=True)
class Asked:
    """Whom a person asks: a supervisor, or all of a host. `there` are those of them that live."""

    supervisor: str
    host: str
    there: list[Supervisor]

    @property
    def threads(self) -> int:
        """How many threads they have."""
        return sum(one.threads for each in self.there for one in each.processes)

    @property
    def running(self) -> int:
        """How many runs they are at."""
        return sum(len(one.runs) for each in self.there for one in each.processes)


def _of(verb: Callable[..., list[str]]) -> Callable[..., list[str]]:
    return lambda asked, **words: verb(supervisor=asked.supervisor, host=asked.host, **words)


def _asked_of(asked: Asked) -> str:
    count = len(asked.there)
    text = ngettext("%(count)d supervisor was asked.", "%(count)d supervisors were asked.", count)
    return text % {"count": count} + " " + _("It shows here as soon as it is done.")


ACTIONS = acting.named(
    Action(
        name="quiet",
        recorded="quiet_worker",
        permission=access.QUIET_WORKER,
        label=gettext_lazy("Quiet"),
        verb=_of(workers.quiet),
        done=_asked_of,
        question=gettext_lazy("Let these workers claim no more?"),
        consequence=gettext_lazy(
            "They go on with what runs and claim no more. They stay so until they are stopped, as before a deploy."
        ),
        button=gettext_lazy("Quiet"),
        wants_why=True,
        fits=lambda asked: bool(asked.there),
    ),
    Action(
        name="stop",
        recorded="stop_worker",
        permission=access.STOP_WORKER,
        label=gettext_lazy("Stop"),
        verb=_of(workers.stop),
        done=_asked_of,
        question=gettext_lazy("Stop these workers?"),
        consequence=gettext_lazy(
            "What runs gets its time to end, and what is left is handed back to the front of its queue; no attempt is "
            "burnt. Whatever starts workers there may start others in their place."
        ),
        button=gettext_lazy("Stop"),
        destroys=True,
        fits=lambda asked: bool(asked.there),
    ),
)


class WorkerAdmin(ConsoleAdmin):
    """Workers that live, and those that were last seen while Redis is away."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("<slug:name>/", self.act_page, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        found = workers.standings()
        return self.page(
            request,
            "workers.html",
            title=_("Workers"),
            found=found,
            skew=found.releases if len(found.releases) > 1 else [],
            actions=[each for each in ACTIONS.values() if found.answers and access.may(request, each.permission)],
        )

    def act_page(self, request: HttpRequest, name: str) -> HttpResponse:
        query = request.POST if request.method == "POST" else request.GET
        supervisor, host = query.get("supervisor", "")[:300], query.get("host", "")[:300]
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: _find(supervisor, host),
            target=f"supervisor {supervisor}" if supervisor else f"host {host}",
            back=reverse(LIST),
            template="worker_act.html",
            shown=lambda asked: {"asked": asked},
        )


def _find(supervisor: str, host: str) -> Asked:
    hosts: list[Any] = workers.standings().hosts
    there = [one for each in hosts for one in each.supervisors if one.is_live]
    mine = [one for one in there if one.now and (one.id == supervisor if supervisor else one.now.host == host)]
    return Asked(supervisor, host, mine)

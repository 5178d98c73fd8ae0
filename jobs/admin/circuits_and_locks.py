"""The page about circuits and locks: how they are now, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import circuits, locks, registry
from jobs.admin import access, acting
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.broker import occupancy
from jobs.broker.occupancy import Occupancy
from jobs.circuits import Status
from jobs.errors import BrokerUnavailable
from jobs.locks import HeldLock
from jobs.policy.limits import Limit

_LIST = "admin:jobs_circuitsandlocks_changelist"
# More than anybody holds a circuit by hand.
_MOST_MINUTES = 60 * 24 * 30


def _of_circuit(verb: Callable[..., None]) -> Callable[..., None]:
    return lambda circuit, **words: verb(circuit.name, **words)


def _release(lock: HeldLock, **words: Any) -> None:
    locks.release(lock.name, token=lock.token, **words)


CIRCUIT_ACTIONS = acting.named(
    Action(
        name="open",
        recorded="open circuit",
        permission=access.CIRCUITS,
        label=gettext_lazy("Open"),
        verb=_of_circuit(circuits.force_open),
        done=gettext_lazy("The circuit is open. Processes hear of it within a second."),
        question=gettext_lazy("Open this circuit?"),
        consequence=gettext_lazy(
            "No call goes through from now on, and no probe either. Runs that need it wait; they burn no attempt. "
            "Without a number of minutes it stays so until somebody closes it."
        ),
        button=gettext_lazy("Open the circuit"),
        destroys=True,
    ),
    Action(
        name="close",
        recorded="close circuit",
        permission=access.CIRCUITS,
        label=gettext_lazy("Close"),
        verb=_of_circuit(circuits.force_close),
        done=gettext_lazy("The circuit is closed. Runs that wait for it come as their waits end."),
        question=gettext_lazy("Close this circuit?"),
        consequence=gettext_lazy(
            "Calls go through from now on, and its failures are forgotten. It goes on by itself: new failures open "
            "it again. With a number of minutes it stays closed for so long, whatever fails."
        ),
        button=gettext_lazy("Close the circuit"),
        wants_why=True,
    ),
)
RELEASE = Action(
    name="release",
    recorded="release lock",
    permission=access.LOCKS,
    label=gettext_lazy("Release"),
    verb=_release,
    done=gettext_lazy("The lock is released. Whoever held it finds out within seconds, or when its block ends."),
    question=gettext_lazy("Release this lock?"),
    button=gettext_lazy("Release the lock"),
    destroys=True,
    fits=lambda lock: lock is not None,
)


class CircuitsAndLocksAdmin(ConsoleAdmin):
    """Circuits: open, closed, or tried. Locks: who holds them, since when, and whether that one lives."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("circuit/<slug:name>/", self.circuit_page, "circuit", True),
            ("lock/release/", self.lock_page, "release", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        try:
            known, held, limited, is_down = circuits.statuses(), locks.held(), _limits(), False
        except BrokerUnavailable:
            known, held, limited, is_down = [], [], [], True
        # What needs a look stands first.
        known.sort(key=lambda one: (one.phase == "closed" and not one.held_by, one.name))
        return self.page(
            request,
            "circuits_and_locks.html",
            title=_("Circuits and locks"),
            circuits=known,
            locks=held,
            limits=limited,
            is_down=is_down,
            unknown=circuits.local_names() if is_down else [],
            may_manage=access.may(request, access.CIRCUITS),
            may_release=access.may(request, access.LOCKS),
        )

    def circuit_page(self, request: HttpRequest, name: str) -> HttpResponse:
        asked = _asked(request)
        target, minutes = asked.get("circuit", "")[:200], asked.get("minutes", "").strip()
        return acting.act(
            self,
            request,
            CIRCUIT_ACTIONS.get(name),
            lambda: _circuit(target),
            target=target,
            back=reverse(_LIST),
            given=lambda circuit: {"until": _until(minutes)},
            template="circuit_act.html",
            shown=lambda circuit: {"circuit": circuit, "minutes": minutes},
        )

    def lock_page(self, request: HttpRequest) -> HttpResponse:
        """The token says whose hold is meant: a later one is left alone."""
        asked = _asked(request)
        target, token = asked.get("lock", "")[:200], asked.get("token", "")[:100]
        return acting.act(
            self,
            request,
            RELEASE,
            lambda: next((one for one in locks.held() if (one.name, one.token) == (target, token)), None),
            target=target,
            back=reverse(_LIST),
            given=lambda lock: _forced(request, lock),
            template="lock_act.html",
            shown=lambda lock: {"lock": lock, "name": target},
        )


def _limits() -> list[tuple[Limit, list[str], Occupancy]]:
    """The limits of which something is used or waited for, each with its jobs. Raises `BrokerUnavailable`."""
    jobs: dict[str, list[str]] = {}
    there: dict[str, Limit] = {}
    for name in registry.names():
        for one in registry.get(name).options.limits:
            there.setdefault(one.id, one)
            jobs.setdefault(one.id, []).append(name)
    found = occupancy.look(there.values())
    return [(there[own], jobs[own], now) for own, now in found.items() if now.is_any]


def _asked(request: HttpRequest) -> QueryDict:
    return request.POST if request.method == "POST" else request.GET


def _circuit(name: str) -> Status:
    """A circuit that there is, else 404: a typing error makes no circuit."""
    if name not in circuits.names():
        raise Http404(name)
    return circuits.status(name)


def _forced(request: HttpRequest, lock: HeldLock | None) -> dict[str, bool]:
    if lock is None:
        raise ValueError(_("The lock is not held by that holder any more."))
    return {"though_alive": request.POST.get("force") == "1"}


def _until(minutes: str) -> datetime | None:
    if minutes and (not minutes.isdecimal() or not 0 < int(minutes[:9]) <= _MOST_MINUTES):
        text = _("%(minutes)s is no number of minutes from 1 to %(most)d.")
        raise ValueError(text % {"minutes": minutes[:20], "most": _MOST_MINUTES})
    return timezone.now() + timedelta(minutes=int(minutes)) if minutes else None

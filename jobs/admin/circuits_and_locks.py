"""The page about circuits and locks: how they are now, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import circuits, locks
from jobs.admin import access
from jobs.admin.console import ConsoleAdmin, View
from jobs.circuits import Status
from jobs.errors import BrokerUnavailable, JobsError
from jobs.locks import HeldLock

_LIST = "admin:jobs_circuitsandlocks_changelist"
# More than anybody holds a circuit by hand.
_MOST_MINUTES = 60 * 24 * 30


@dataclass(frozen=True)
class CircuitAction:
    """What can be done with a circuit. `verb` takes its name, who, why and until when."""

    name: str
    recorded: str
    question: str | Promise
    button: str | Promise
    consequence: str | Promise
    done: str | Promise
    verb: Callable[..., None]


ACTIONS = {
    action.name: action
    for action in (
        CircuitAction(
            name="open",
            recorded="open circuit",
            question=gettext_lazy("Open this circuit?"),
            button=gettext_lazy("Open the circuit"),
            consequence=gettext_lazy(
                "No call goes through from now on, and no probe either. Runs that need it wait; they burn no attempt. "
                "Without a number of minutes it stays so until somebody closes it."
            ),
            done=gettext_lazy("The circuit is open. Processes hear of it within a second."),
            verb=circuits.force_open,
        ),
        CircuitAction(
            name="close",
            recorded="close circuit",
            question=gettext_lazy("Close this circuit?"),
            button=gettext_lazy("Close the circuit"),
            consequence=gettext_lazy(
                "Calls go through from now on, and its failures are forgotten. It goes on by itself: new failures open "
                "it again. With a number of minutes it stays closed for so long, whatever fails."
            ),
            done=gettext_lazy("The circuit is closed. Runs that wait for it come as their waits end."),
            verb=circuits.force_close,
        ),
    )
}


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
            known, held, is_down = circuits.statuses(), locks.held(), False
        except BrokerUnavailable:
            known, held, is_down = [], [], True
        # What needs a look stands first.
        known.sort(key=lambda one: (one.phase == "closed" and not one.held_by, one.name))
        return self.page(
            request,
            "circuits_and_locks.html",
            title=_("Circuits and locks"),
            circuits=known,
            locks=held,
            is_down=is_down,
            unknown=circuits.local_names() if is_down else [],
            may_manage=access.may(request, access.CIRCUITS),
            may_release=access.may(request, access.LOCKS),
        )

    def circuit_page(self, request: HttpRequest, name: str) -> HttpResponse:
        """Ask, on GET; do, on POST."""
        action = ACTIONS.get(name)
        if action is None:
            raise Http404(name)
        asked = request.POST if request.method == "POST" else request.GET
        target = asked.get("circuit", "")[:200]
        if not access.may(request, access.CIRCUITS):
            recorded = action.recorded if request.method == "POST" else ""
            return access.refuse(request, access.CIRCUITS, action=recorded, target=target)
        try:
            status = _circuit(target)
        except BrokerUnavailable as error:
            return access.unavailable(request, str(error))
        minutes = asked.get("minutes", "").strip()
        reason = asked.get("reason", "").strip()[:500]
        problem = _problem(minutes, reason)
        if request.method == "POST" and not problem:
            words = {"reason": reason, "until": _until(minutes)}
            return _do(request, lambda **who: action.verb(target, **words, **who), str(action.done))
        return self.page(
            request,
            "circuit_act.html",
            title=str(action.question),
            circuit=status,
            action=action,
            minutes=minutes,
            reason=reason,
            problem=problem if request.method == "POST" else "",
        )

    def lock_page(self, request: HttpRequest) -> HttpResponse:
        """Ask, on GET; release, on POST. The token says whose hold is meant: a later one is left alone."""
        asked = request.POST if request.method == "POST" else request.GET
        target, token = asked.get("lock", "")[:200], asked.get("token", "")[:100]
        if not access.may(request, access.LOCKS):
            recorded = "release lock" if request.method == "POST" else ""
            return access.refuse(request, access.LOCKS, action=recorded, target=target)
        try:
            found = next((one for one in locks.held() if (one.name, one.token) == (target, token)), None)
        except BrokerUnavailable as error:
            return access.unavailable(request, str(error))
        reason = asked.get("reason", "").strip()[:500]
        if request.method == "POST" and reason and found is not None:
            return _do(request, lambda **who: _release(found, asked.get("force") == "1", reason, **who), _released())
        return self.page(
            request,
            "lock_act.html",
            title=_("Release this lock?"),
            lock=found,
            name=target,
            reason_missing=request.method == "POST" and not reason,
        )


def _do(request: HttpRequest, verb: Callable[..., None], done: str) -> HttpResponse:
    try:
        verb(actor=access.actor(request), address=access.address(request))
    except JobsError as error:
        messages.warning(request, _("Nothing was changed. %(why)s") % {"why": error})
    else:
        messages.success(request, done)
    return redirect(_LIST)


def _circuit(name: str) -> Status:
    """A circuit that there is, else 404: a typing error makes no circuit."""
    if name not in circuits.names():
        raise Http404(name)
    return circuits.status(name)


def _release(found: HeldLock, though_alive: bool, reason: str, **who: str) -> None:
    locks.release(found.name, token=found.token, reason=reason, though_alive=though_alive, **who)


def _released() -> str:
    return _("The lock is released. Whoever held it finds out within seconds, or when its block ends.")


def _problem(minutes: str, reason: str) -> str:
    """What keeps the form from being done, in words; empty for nothing."""
    if minutes and (not minutes.isdecimal() or not 0 < int(minutes[:9]) <= _MOST_MINUTES):
        return _("%(minutes)s is no number of minutes from 1 to %(most)d.") % {
            "minutes": minutes[:20],
            "most": _MOST_MINUTES,
        }
    return "" if reason else _("Write down why: whoever looks at this next will want to know.")


def _until(minutes: str) -> datetime | None:
    return timezone.now() + timedelta(minutes=int(minutes)) if minutes else None

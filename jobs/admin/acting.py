"""What people do from a page: one kind of value, and one way in which it is asked for, refused and done. No verb.

How a page lets people act on a thing:

1. It says what can be done, in a table: `ACTIONS = named(Action("pause", …, verb=schedules.pause), …)`.
2. It shows a person `offered(request, ACTIONS, schedule)`: what they may do and what fits, as links or forms.
3. Its route `<int:pk>/<slug:name>/` takes POST, and its view returns `act(self, request, ACTIONS.get(name), …)`.
4. What is asked for on a page of its own has a template that extends `admin/jobs/act.html` and says what it is about.

The verb changes what it changes and adds its row to the audit, in one transaction. A refusal is recorded here.
A page that shows many things before they are touched has its own flow, with the same `Action`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.admin import access
from jobs.admin.console import ConsoleAdmin
from jobs.errors import BrokerUnavailable, JobsError

# A text, or what makes it of the thing.
Text = str | Promise | Callable[[Any], str]


@dataclass(frozen=True)
class Action:
    """Something a person may do with a thing. It names one permission and calls one verb.

    `verb(thing, actor=…, reason=…, address=…)` does it and raises a `JobsError` where it cannot.
    `recorded` is what the audit calls it, done or refused. `fits` says whether the thing is such that it can be done.
    What `destroys` has a red button and wants a reason; others want one with `wants_why`. `again` is said where a click
    before has done it already.
    """

    name: str
    recorded: str
    permission: str
    label: str | Promise
    verb: Callable[..., Any]
    done: Text = ""
    question: Text = ""
    consequence: str | Promise = ""
    button: str | Promise = ""
    destroys: bool = False
    wants_why: bool = False
    fits: Callable[[Any], bool] = lambda thing: True
    again: str | Promise = ""

    @property
    def wants_reason(self) -> bool:
        """Whether nothing is done without a reason."""
        return self.destroys or self.wants_why


def named(*actions: Action) -> dict[str, Action]:
    """A table of actions, in their order on the page."""
    return {action.name: action for action in actions}


def offered(request: HttpRequest, actions: Mapping[str, Action], thing: Any) -> list[Action]:
    """What this person may do with the thing as it is."""
    return [each for each in actions.values() if each.fits(thing) and access.may(request, each.permission)]


def act(
    console: ConsoleAdmin,
    request: HttpRequest,
    action: Action | None,
    find: Callable[[], Any],
    *,
    target: str,
    back: str,
    given: Callable[[Any], dict[str, Any]] = lambda thing: {},
    template: str = "",
    shown: Callable[[Any], dict[str, Any]] = lambda thing: {},
    lost: Callable[[Any, str], HttpResponse] | None = None,
) -> HttpResponse:
    """Ask, on GET; do, on POST, and go `back` with a message of what came of it. Without the action, 404.

    `find` gets the thing, from people who may act only; `target` is what the audit calls it.
    `given(thing)` is what the form says beside the reason, as the verb takes it; what cannot be raises ValueError.
    `template` asks, and says what is missing in a form; `shown(thing)` is what it shows. Without one, a GET only goes
    back, and what is missing is said there. `lost(thing, why)` answers where the verb came too late; without it, the
    next page says so.
    """
    if action is None:
        raise Http404
    if refused := access.refusal(request, action.permission, action=action.recorded, target=target):
        return refused
    try:
        thing = find()
    except BrokerUnavailable as error:
        return access.unavailable(request, str(error))
    words, problems = _read(request, action, thing, given) if request.method == "POST" else ({}, [])
    if words and not problems and lost is not None:
        return _try(request, action, thing, words, back=back, lost=lost)
    if words and not problems:
        tell(request, lambda: action.verb(thing, **words), lambda: text_of(action.done, thing))
    elif template:
        return console.page(
            request,
            template,
            title=text_of(action.question, thing),
            action=action,
            fits=action.fits(thing),
            back=back,
            problems=problems,
            reason=request.POST.get("reason", ""),
            **shown(thing),
        )
    for problem in problems:
        messages.warning(request, _("Nothing was changed. %(why)s") % {"why": problem})
    return HttpResponseRedirect(back)


def _try(
    request: HttpRequest,
    action: Action,
    thing: Any,
    words: dict[str, Any],
    *,
    back: str,
    lost: Callable[[Any, str], HttpResponse],
) -> HttpResponse:
    """Do it, and go back; say at once where somebody was faster."""
    try:
        action.verb(thing, **words)
    except BrokerUnavailable as error:
        messages.warning(request, _("Nothing was changed. %(why)s") % {"why": error})
    except JobsError as error:
        return lost(thing, str(error))
    else:
        messages.success(request, text_of(action.done, thing))
    return HttpResponseRedirect(back)


def tell(request: HttpRequest, verb: Callable[[], object], done: Callable[[], str]) -> None:
    """Call a verb, and leave a message of what came of it for the next page."""
    try:
        verb()
    except JobsError as error:
        messages.warning(request, _("Nothing was changed. %(why)s") % {"why": error})
    else:
        messages.success(request, done())


def tell_left(request: HttpRequest, left: Mapping[str, int]) -> None:
    """Leave messages of how many were left alone, by why."""
    for why, count in left.items():
        text = ngettext("%(count)d was left alone: %(why)s.", "%(count)d were left alone: %(why)s.", count)
        messages.warning(request, text % {"count": count, "why": why})


def inside(request: HttpRequest, address: str, *, otherwise: str) -> str:
    """The address, if it leads to this site; it came from outside."""
    leads_inside = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if leads_inside and address.startswith("/") else otherwise


def text_of(text: Text, thing: Any) -> str:
    """A text of an action, in the reader's language."""
    return text(thing) if callable(text) else str(text)


def reason_of(request: HttpRequest) -> str:
    """Why, as the form says it."""
    return request.POST.get("reason", "").strip()[:500]


def lacks_reason(request: HttpRequest, action: Action) -> bool:
    """Whether a reason is wanted that the form does not say."""
    return action.wants_reason and not reason_of(request)


def why_missing() -> str:
    """What is said where a reason is wanted and none was written."""
    return _("Write down why: whoever looks at this next will want to know.")


def _read(
    request: HttpRequest, action: Action, thing: Any, given: Callable[[Any], dict[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """What the verb is given, and what is missing for it."""
    words: dict[str, Any] = {**access.who(request), "reason": reason_of(request)}
    problems = [why_missing()] if lacks_reason(request, action) else []
    try:
        words |= given(thing)
    except ValueError as error:
        problems.append(str(error))
    return words, problems

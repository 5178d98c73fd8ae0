"""The pages about what may happen once, effects and e-mails: the lists, and what a person may say of a marker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import effects, markers
from jobs.admin import access
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import WINDOW, key_or_none, page_of
from jobs.admin.marker_filter import DOUBT, MarkerFilter
from jobs.errors import JobsError
from jobs.models import Effect, SentEmail
from jobs.models.markers import CLAIMED, Marker

# When no marker was claimed.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class MarkerAction:
    """Something a person may say of a marker. It calls one verb of `markers`; `recorded` is what the audit calls it."""

    name: str
    recorded: str
    label: str | Promise
    question: str | Promise
    consequence: str | Promise
    done: str | Promise
    destroys: bool
    fits: Callable[[Marker], bool]
    verb: Callable[..., None]


def _release(marker: Marker, facts: dict[str, Any], **words: Any) -> None:
    markers.release(marker, **words)


def _is_open(marker: Marker) -> bool:
    """Whether it is not known what came of it, or what it gave."""
    return not marker.is_done or bool(getattr(marker, "problem", ""))


ACTIONS = {
    action.name: action
    for action in (
        MarkerAction(
            name="done",
            recorded="mark done",
            label=gettext_lazy("Mark as done"),
            question=gettext_lazy("Mark this as done?"),
            consequence=gettext_lazy("It is not made again. Every later attempt is told that it happened."),
            done=gettext_lazy("Marked as done. A dead job that waited for this can be retried now."),
            destroys=False,
            fits=_is_open,
            verb=markers.mark_done,
        ),
        MarkerAction(
            name="release",
            recorded="release",
            label=gettext_lazy("Release"),
            question=gettext_lazy("Release this?"),
            consequence=gettext_lazy("Its marker is deleted, so that whoever asks next makes it again."),
            done=gettext_lazy("Released. A dead job that waited for this can be retried now."),
            destroys=True,
            fits=lambda marker: True,
            verb=_release,
        ),
    )
}


class MarkerAdmin(ConsoleAdmin):
    """A list of markers, and the two things that a person may say of one."""

    marker: type[Marker]
    template: str
    heading: str | Promise

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("<int:pk>/<slug:name>/", self.action_page, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = MarkerFilter.read(self.marker, request.GET)
        page = page_of(
            asked.rows(),
            older=key_or_none(request.GET.get("older"), int),
            newer=key_or_none(request.GET.get("newer"), int),
        )
        may_act = access.may(request, access.RELEASE)
        return self.page(
            request,
            self.template,
            title=str(self.heading),
            asked=asked,
            page=page,
            window=WINDOW,
            states=[(CLAIMED, _("claimed")), (DOUBT, _("in doubt")), (self.marker.DONE, _(self.marker.DONE))],
            act=f"admin:jobs_{self.opts.model_name}_act",
            actions_of={row.pk: [each for each in ACTIONS.values() if may_act and each.fits(row)] for row in page.rows},
        )

    def action_page(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Ask, on GET; do, on POST."""
        action = ACTIONS.get(name)
        if action is None:
            raise Http404(name)
        if not access.may(request, access.RELEASE):
            recorded = f"{action.recorded} {self.opts.verbose_name}" if request.method == "POST" else ""
            return access.refuse(request, access.RELEASE, action=recorded, target=str(pk))
        marker = get_object_or_404(self.marker._default_manager.all(), pk=pk)
        problems = self._problems(request, action) if request.method == "POST" else []
        if request.method == "POST" and not problems:
            return self._do(request, action, marker)
        return self.page(
            request,
            "marker_act.html",
            title=str(action.question),
            marker=marker,
            heading=self.heading,
            action=action,
            fits=action.fits(marker),
            is_held=not marker.is_done and not marker.is_in_doubt(timezone.now()),
            wants_result=self._wants_result(action),
            result=request.POST.get("result", ""),
            reason=request.POST.get("reason", ""),
            problems=problems,
            changelist=self._changelist,
        )

    def result_of(self, request: HttpRequest) -> dict[str, Any]:
        """What the form says that it gave. Raises `ValueError`."""
        return {}

    def _wants_result(self, action: MarkerAction) -> bool:
        return action.name == "done" and self.marker is Effect

    def _problems(self, request: HttpRequest, action: MarkerAction) -> list[str]:
        found = []
        if not request.POST.get("reason", "").strip():
            found.append(_("Write down why: whoever looks at this next will want to know."))
        try:
            self.result_of(request)
        except ValueError as error:
            found.append(_("What it gave cannot be read as JSON: %(why)s.") % {"why": error})
        return found

    def _do(self, request: HttpRequest, action: MarkerAction, marker: Marker) -> HttpResponse:
        _as_seen(marker, request)
        try:
            action.verb(
                marker,
                self.result_of(request) if action.name == "done" else {},
                actor=access.actor(request),
                reason=request.POST["reason"].strip()[:500],
                address=access.address(request),
                force=request.POST.get("force") == "on",
            )
        except JobsError as error:
            messages.warning(request, _("Nothing was changed. %(why)s") % {"why": error})
        else:
            messages.success(request, str(action.done))
        return redirect(self._changelist)

    @property
    def _changelist(self) -> str:
        return f"admin:jobs_{self.opts.model_name}_changelist"


class EffectAdmin(MarkerAdmin):
    """What `effects.once` has made, what it gave, and what nobody knows the end of."""

    marker = Effect
    template = "effects.html"
    heading = gettext_lazy("Effects")

    def result_of(self, request: HttpRequest) -> dict[str, Any]:
        text = request.POST.get("result", "").strip()
        return effects.known("", json.loads(text) if text else None)


class SentEmailAdmin(MarkerAdmin):
    """What was sent to whom, and what was claimed and never confirmed."""

    marker = SentEmail
    template = "emails.html"
    heading = gettext_lazy("Sent e-mails")


def _as_seen(marker: Marker, request: HttpRequest) -> None:
    """Take the marker for what the form was made for: a click on an old page must not touch a later claim."""
    marker.state = request.POST.get("state", marker.state)
    try:
        seen = datetime.fromisoformat(request.POST.get("claimed_at", ""))
    except ValueError:
        seen = _NEVER
    marker.claimed_at = seen if seen.tzinfo else _NEVER

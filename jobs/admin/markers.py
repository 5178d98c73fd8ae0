"""The pages about what may happen once, effects and e-mails: the lists, and what a person may say of a marker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import effects, markers
from jobs.admin import access, acting
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import WINDOW, page_asked
from jobs.admin.marker_filter import DOUBT, MarkerFilter
from jobs.models import Effect, SentEmail
from jobs.models.markers import CLAIMED, Marker

# When no marker was claimed.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def _is_open(marker: Marker) -> bool:
    """Whether it is not known what came of it, or what it gave."""
    return not marker.is_done or bool(getattr(marker, "problem", ""))


ACTIONS = acting.named(
    Action(
        name="done",
        recorded="mark done",
        permission=access.RELEASE,
        label=gettext_lazy("Mark as done"),
        verb=markers.mark_done,
        done=gettext_lazy("Marked as done. A dead job that waited for this can be retried now."),
        question=gettext_lazy("Mark this as done?"),
        consequence=gettext_lazy("It is not made again. Every later attempt is told that it happened."),
        button=gettext_lazy("Mark as done"),
        wants_why=True,
        fits=_is_open,
    ),
    Action(
        name="release",
        recorded="release",
        permission=access.RELEASE,
        label=gettext_lazy("Release"),
        verb=markers.release,
        done=gettext_lazy("Released. A dead job that waited for this can be retried now."),
        question=gettext_lazy("Release this?"),
        consequence=gettext_lazy("Its marker is deleted, so that whoever asks next makes it again."),
        button=gettext_lazy("Release"),
        destroys=True,
    ),
)


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
        page = page_asked(asked.rows(), request.GET)
        return self.page(
            request,
            self.template,
            title=str(self.heading),
            asked=asked,
            page=page,
            window=WINDOW,
            states=[(CLAIMED, _("claimed")), (DOUBT, _("in doubt")), (self.marker.DONE, _(self.marker.DONE))],
            act=f"admin:jobs_{self.opts.model_name}_act",
            actions_of={row.pk: acting.offered(request, ACTIONS, row) for row in page.rows},
        )

    def action_page(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        action = ACTIONS.get(name)
        wants_result = name == "done" and self.marker is Effect
        return acting.act(
            self,
            request,
            action and replace(action, recorded=f"{action.recorded} {self.opts.verbose_name}"),
            lambda: get_object_or_404(self.marker._default_manager.all(), pk=pk),
            target=str(pk),
            back=reverse(f"admin:jobs_{self.opts.model_name}_changelist"),
            given=lambda marker: _given(request, name, marker, wants_result=wants_result),
            template="marker_act.html",
            shown=lambda marker: {
                "marker": marker,
                "heading": self.heading,
                "is_held": not marker.is_done and not marker.is_in_doubt(timezone.now()),
                "wants_result": wants_result,
                "result": request.POST.get("result", ""),
            },
        )


class EffectAdmin(MarkerAdmin):
    """What `effects.once` has made, what it gave, and what nobody knows the end of."""

    marker = Effect
    template = "effects.html"
    heading = gettext_lazy("Effects")


class SentEmailAdmin(MarkerAdmin):
    """What was sent to whom, and what was claimed and never confirmed."""

    marker = SentEmail
    template = "emails.html"
    heading = gettext_lazy("Sent e-mails")


def _given(request: HttpRequest, name: str, marker: Marker, *, wants_result: bool) -> dict[str, Any]:
    """What the form says beside the reason. Raises ValueError for a result that is no JSON."""
    _as_seen(marker, request)
    force = {"force": request.POST.get("force") == "on"}
    return force | ({"facts": _result(request) if wants_result else {}} if name == "done" else {})


def _result(request: HttpRequest) -> dict[str, Any]:
    text = request.POST.get("result", "").strip()
    try:
        return effects.known("", json.loads(text) if text else None)
    except ValueError as error:
        raise ValueError(_("What it gave cannot be read as JSON: %(why)s.") % {"why": error}) from error


def _as_seen(marker: Marker, request: HttpRequest) -> None:
    """Take the marker for what the form was made for: a click on an old page must not touch a later claim."""
    marker.state = request.POST.get("state", marker.state)
    try:
        seen = datetime.fromisoformat(request.POST.get("claimed_at", ""))
    except ValueError:
        seen = _NEVER
    # No other moment was ever in a form of ours, and none further on can be looked for.
    marker.claimed_at = seen if seen.tzinfo and 1 < seen.year < 9999 else _NEVER

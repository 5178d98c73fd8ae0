"""The pages about queues: how each stands, one queue's last 24 hours, and what a person can do with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import fuses, queues, registry, workers
from jobs.admin import access, acting, bulk_actions
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.moments import moment_to_come
from jobs.errors import BrokerUnavailable
from jobs.models import Fuse, QueuePause
from jobs.policy.chart import Chart, Mark, Series
from jobs.queues import Standing

LIST = "admin:jobs_queuepause_changelist"
_DAY = timedelta(hours=24)
# A chart of 24 hours has as many slices as a phone can tell apart.
_SLICE = timedelta(minutes=10)
_SHOWN_PAUSES = 10


def _of_queue(verb: Callable[..., object]) -> Callable[..., object]:
    return lambda standing, **words: verb(standing.name, **words)


ACTIONS = acting.named(
    Action(
        name="pause",
        recorded="pause_queue",
        permission=access.PAUSE_QUEUE,
        label=gettext_lazy("Pause"),
        verb=_of_queue(queues.pause),
        done=gettext_lazy("The queue is paused: nothing of it starts. What runs goes on to its end."),
        question=gettext_lazy("Pause this queue?"),
        consequence=gettext_lazy(
            "Nothing of it starts until it is resumed, or its time is over. What runs goes on to its end; retries and "
            "schedules still become due, and wait like all others."
        ),
        button=gettext_lazy("Pause the queue"),
        wants_why=True,
        fits=lambda standing: standing.pause is None,
    ),
    Action(
        name="resume",
        recorded="resume_queue",
        permission=access.PAUSE_QUEUE,
        label=gettext_lazy("Resume"),
        verb=_of_queue(queues.resume),
        done=gettext_lazy("The queue goes on: its first run starts within a second where a worker is free."),
        question=gettext_lazy("Resume this queue?"),
        consequence=gettext_lazy("What waits starts in its order, as workers are free."),
        button=gettext_lazy("Resume the queue"),
        fits=lambda standing: standing.pause is not None,
    ),
    Action(
        name="clear",
        recorded="bulk clear ask",
        permission=access.CLEAR_QUEUE,
        label=gettext_lazy("Clear"),
        verb=_of_queue(queues.clear),
        done=gettext_lazy("What waits in the queue is being discarded, in the background. See Bulk actions."),
        question=gettext_lazy("Clear this queue?"),
        consequence=gettext_lazy(
            "All that waits in it now is discarded and never runs. What runs goes on; what is due later, and what "
            "comes after this, stays. It can be undone for some days: what is had back is a dead job, and can be "
            "retried."
        ),
        button=gettext_lazy("Discard all that waits"),
        destroys=True,
        fits=lambda standing: standing.depth is not None,
    ),
)


class QueueAdmin(ConsoleAdmin):
    """Queues as they are in `RQ_QUEUES`, whether they are paused or not."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("of/<path:queue>/", self.queue_page, "change", False),
            ("<slug:name>/<path:queue>/", self.act_page, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        found = queues.standings()
        return self.page(
            request,
            "queues.html",
            title=_("Queues"),
            standings=[(one, acting.offered(request, ACTIONS, one)) for one in found.queues],
            answers=found.answers,
            may_act=_may_act(request),
        )

    def queue_page(self, request: HttpRequest, queue: str) -> HttpResponse:
        found = queues.standings()
        standing = _in(found, queue)
        return self.page(
            request,
            "queue.html",
            title=queue,
            own_section=True,
            standing=standing,
            answers=found.answers,
            actions=acting.offered(request, ACTIONS, standing),
            charts=_charts(queue),
            limited=_limited(queue),
            fuses=_fuses(queue),
            pauses=list(QueuePause.objects.filter(queue=queue, resumed_at__isnull=False)[:_SHOWN_PAUSES]),
        )

    def act_page(self, request: HttpRequest, name: str, queue: str) -> HttpResponse:
        is_clearing = name == "clear" and request.method == "POST" and access.may(request, access.CLEAR_QUEUE)
        if is_clearing and (refused := bulk_actions.too_many(request, ACTIONS[name].recorded)):
            return refused
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: _in(queues.standings(), queue),
            target=f"queue {queue}",
            back=reverse("admin:jobs_queuepause_change", args=[queue]),
            given=lambda standing: _given(request, name),
            template="queue_act.html",
            shown=lambda standing: {
                "standing": standing,
                "until": request.POST.get("until", "")[:40],
                "typed": request.POST.get("typed", "")[:100],
                "key": uuid.uuid4().hex,
            },
        )


def _in(found: queues.Standings, queue: str) -> Standing:
    try:
        return found.of(queue)
    except KeyError:
        raise Http404(queue) from None


def _may_act(request: HttpRequest) -> bool:
    return any(access.may(request, action.permission) for action in ACTIONS.values())


def _given(request: HttpRequest, name: str) -> dict[str, Any]:
    """What the verb takes beside who and why. Raises ValueError."""
    if name == "pause":
        return {"until": moment_to_come(request.POST.get("until", "").strip(), timezone.get_current_timezone_name())}
    if name == "clear":
        return {"typed": request.POST.get("typed", "").strip(), "key": request.POST.get("key", "")[:64]}
    return {}


def _charts(queue: str) -> list[Chart]:
    """How long the queue was and how long its oldest run waited, over 24 hours."""
    now = timezone.now()
    last = now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0)
    slices = [last - number * _SLICE for number in reversed(range(_DAY // _SLICE))]
    samples = queues.depths(queue, since=slices[0])
    marks = [Mark(at, release) for release, at in workers.releases(slices[0])]
    depths = _greatest(slices, [(at, float(depth)) for at, depth, _ in samples])
    waits = _greatest(slices, [(at, wait) for at, _, wait in samples])
    shown = (
        (_("Waiting runs, last 24 hours"), _("Waiting"), depths, "count"),
        (_("Oldest wait, last 24 hours"), _("Oldest wait"), waits, "seconds"),
    )
    return [Chart(name, slices, [Series(word, values)], unit, marks=marks) for name, word, values, unit in shown]


def _greatest(slices: Sequence[datetime], samples: Sequence[tuple[datetime, float]]) -> list[float | None]:
    """The greatest value in each slice; None where nothing was sampled."""
    found: dict[int, float] = {}
    for at, value in samples:
        place = (at - slices[0]) // _SLICE
        found[place] = max(value, found.get(place, 0.0))
    return [found.get(place) for place in range(len(slices))]


def _limited(queue: str) -> list[tuple[str, str]]:
    """The jobs whose own queue this is and that have limits, each with these in words."""
    jobs = [job for name in registry.names() if (job := registry.get(name)).options.queue == queue]
    return [(job.name, ", ".join(map(str, job.options.limits))) for job in jobs if job.options.limits]


def _fuses(queue: str) -> list[tuple[Fuse, int | None]]:
    """The fuses that keep runs of this queue from starting, with how many; all of them where nobody knows."""
    there = list(fuses.active().order_by("-pk"))
    try:
        counts = fuses.caught(there) if there else {}
    except BrokerUnavailable:
        return [(fuse, None) for fuse in there]
    return [(fuse, counts[fuse.pk][queue]) for fuse in there if counts[fuse.pk].get(queue)]

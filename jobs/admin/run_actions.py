"""What people can do with one run: a table, and what the form of each says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import conf, dead, discards, pending, runs
from jobs.admin import access, acting, redis_now
from jobs.admin.acting import Action
from jobs.admin.keyset import key_or_none
from jobs.admin.moments import moment_to_come
from jobs.models import DeadJob, JobRun, RunState


def _in(*states: RunState) -> Callable[[JobRun], bool]:
    return lambda run: run.state in states


def _is_undoable(run: JobRun) -> bool:
    latest = run.burials.order_by("-pk").first() if run.state == RunState.DISCARDED else None
    return latest is not None and discards.undo_until(latest) is not None


def _of_run(verb: Callable[..., object]) -> Callable[..., object]:
    return lambda run, burial, **words: verb(run, **words)


def _of_burial(verb: Callable[..., object]) -> Callable[..., object]:
    return lambda run, burial, **words: verb(_buried(burial), **words)


def _buried(burial: DeadJob | None) -> DeadJob:
    if burial is None:
        raise Http404(_("This run was never buried."))
    return burial


def _when_redis_is_back(done: Promise) -> Callable[[JobRun], str]:
    """What is said when it is done; while Redis is away, that it is pushed later."""
    return lambda run: str(done) if redis_now.answers() else _("Accepted. It is pushed when Redis returns.")


def _discarded(run: JobRun) -> str:
    """What is said after a discard, with the way back."""
    said = _("Discarded: the run will not be tried again.")
    days = conf.get().UNDO_DAYS
    if not days:
        return said
    address = reverse("admin:jobs_jobrun_act", args=[run.pk, "undo"])
    text = _("For %(days)s days you can %(undo)s.") % {"days": f"{days:g}", "undo": "{}"}
    undo = format_html('<a href="{}">{}</a>', address, _("undo it"))
    return format_html("{} {}", said, format_html(text, undo))


ACTIONS = acting.named(
    Action(
        name="retry",
        recorded="requeue",
        permission=access.REQUEUE,
        label=gettext_lazy("Retry"),
        verb=_of_burial(dead.requeue),
        done=_when_redis_is_back(gettext_lazy("Retried: the run is back in its queue.")),
        again=gettext_lazy("Already queued."),
        question=gettext_lazy("Retry this run?"),
        consequence=gettext_lazy("It goes back to its queue with all its attempts ahead of it."),
        button=gettext_lazy("Retry the run"),
        fits=_in(RunState.DEAD),
    ),
    Action(
        name="discard",
        recorded="discard",
        permission=access.DISCARD,
        label=gettext_lazy("Discard"),
        verb=_of_burial(dead.discard),
        done=_discarded,
        question=gettext_lazy("Discard this run?"),
        consequence=gettext_lazy(
            "It will not run again and its work stays undone. Its record is kept, with your reason. "
            "For some days this can be undone."
        ),
        button=gettext_lazy("Discard the run"),
        destroys=True,
        fits=_in(RunState.DEAD),
    ),
    Action(
        name="undo",
        recorded="undo discard",
        permission=access.DISCARD,
        label=gettext_lazy("Undo the discard"),
        verb=_of_burial(discards.undo),
        done=gettext_lazy("Undone: the run is dead again, and can be retried."),
        question=gettext_lazy("Undo the discard?"),
        consequence=gettext_lazy("The run is dead again, as it was. It does not run unless it is retried."),
        button=gettext_lazy("Undo the discard"),
        fits=_is_undoable,
    ),
    Action(
        name="run-now",
        recorded="run_now",
        permission=access.RESCHEDULE,
        label=gettext_lazy("Run now"),
        verb=_of_run(pending.run_now),
        done=_when_redis_is_back(gettext_lazy("It is due now, and starts as soon as a worker is free.")),
        again=gettext_lazy("Already queued."),
        question=gettext_lazy("Run this now?"),
        consequence=gettext_lazy("It goes to its queue at once, whenever it was due."),
        button=gettext_lazy("Run it now"),
        fits=_in(*pending.WAITS_FOR_A_TIME),
    ),
    Action(
        name="postpone",
        recorded="postpone",
        permission=access.RESCHEDULE,
        label=gettext_lazy("Postpone"),
        verb=_of_run(pending.postpone),
        done=gettext_lazy("Postponed: it is due later now."),
        question=gettext_lazy("Postpone this run?"),
        consequence=gettext_lazy("It starts no sooner than that. Its attempts stay as they are."),
        button=gettext_lazy("Postpone it"),
        wants_why=True,
        fits=_in(*pending.WAITS_FOR_A_TIME),
    ),
    Action(
        name="cancel",
        recorded="cancel",
        permission=access.CANCEL,
        label=gettext_lazy("Cancel"),
        verb=_of_run(runs.cancel),
        done=gettext_lazy("Cancelled: the run will not start."),
        question=gettext_lazy("Cancel this run?"),
        consequence=gettext_lazy(
            "It is taken out of its queue and never runs. A run that has started by then is left alone."
        ),
        button=gettext_lazy("Cancel the run"),
        destroys=True,
        fits=_in(*runs.CANCELLABLE),
    ),
    Action(
        name="stop",
        recorded="stop",
        permission=access.STOP,
        label=gettext_lazy("Stop"),
        verb=_of_run(runs.stop),
        done=gettext_lazy("Stopping: the run is ended within seconds, unless it succeeds before."),
        question=gettext_lazy("Stop this run?"),
        consequence=gettext_lazy(
            "It is ended within seconds, wherever it is, and never runs again. What it has done is not undone."
        ),
        button=gettext_lazy("Stop the run"),
        destroys=True,
        fits=_in(RunState.RUNNING),
    ),
)


def postponed_until(request: HttpRequest, name: str) -> dict[str, Any]:
    """Until when, of a run that is postponed. Raises ValueError."""
    if name != "postpone":
        return {}
    zone = timezone.get_current_timezone_name()
    if until := moment_to_come(request.POST.get("until", "").strip(), zone):
        return {"until": until}
    raise ValueError(_("Write for how long, such as 2h, or until when."))


def burial_meant(request: HttpRequest, run: JobRun) -> DeadJob | None:
    """The burial that the form was made for: a click on an old page must not touch a later one."""
    meant = key_or_none(request.POST.get("burial"), int)
    burials = run.burials.order_by("-pk")
    return (burials.filter(pk=meant) if meant else burials).first()


def open_burial(burials: Iterable[DeadJob]) -> DeadJob | None:
    return next((burial for burial in burials if not burial.resolution), None)

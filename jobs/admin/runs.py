"""The pages about runs: the list, one run's page, its raw payload, and what can be done with it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import audit, conf, dead, discards, fuses, pending, registry, runs, sheets
from jobs.admin import access, acting, audit_log, how_far, many_runs, search, waiting_runs
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import WINDOW, Counted, counted, key_or_none, page_asked
from jobs.admin.moments import moment_to_come
from jobs.admin.run_filter import RunFilter, find_run
from jobs.admin.timeline import timeline
from jobs.admin.why_section import heading, why_section
from jobs.models import Batch, DeadJob, FailureCause, JobAttempt, JobRun, RunState, Workflow, WorkflowStep
from jobs.models.schedules import ScheduleTick, TickState
from jobs.sheets import Sheet

# More would bury what matters; the page says when there is more.
SHOWN_ATTEMPTS = 50
SHOWN_CHILDREN = 20
Belonging = TypeVar("Belonging", Batch, Workflow)
# What a row of the list shows; payloads and results may be large.
_LISTED = (
    "rq_id",
    "name",
    "queue",
    "state",
    "arguments",
    "attempts",
    "max_attempts",
    "created_at",
    "due_at",
    "ended_at",
    "wait_ms",
    "run_ms",
    "error_class",
    "error_message",
)


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
        done=gettext_lazy("Retried: the run is back in its queue."),
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
        done=gettext_lazy("It is due now, and starts as soon as a worker is free."),
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


class RunAdmin(ConsoleAdmin):
    """Runs: found by id, job, state, queue, time or argument; read as a timeline; retried, discarded, cancelled,
    stopped."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("many/<slug:name>/", self.many_page, "many", True),
            ("waiting/", self.waiting_page, "waiting", False),
            ("<uuid:pk>/", self.run_page, "change", False),
            ("<uuid:pk>/payload/", self.payload_page, "payload", True),
            ("<uuid:pk>/retry/back/", self.retry_page, "retry", True),
            ("<uuid:pk>/<slug:name>/", self.action_page, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = RunFilter.read(request.GET)
        if asked.only_id and (run := find_run(asked.only_id)):
            return redirect("admin:jobs_jobrun_change", pk=run.pk)
        page = page_asked(asked.rows().only(*_LISTED), request.GET, convert=uuid.UUID)
        return self.page(
            request,
            "runs.html",
            title=_("Runs"),
            asked=asked,
            page=page,
            many=many_runs.offered(request, asked) if page.rows else [],
            holders=fuses.holders(page.rows),
            may_fuse=access.may(request, access.MANAGE_FUSES),
            batch=_asked_for(Batch, asked.asked.get("batch")),
            workflow=_asked_for(Workflow, asked.asked.get("workflow")),
            window=WINDOW,
            states=_state_counts(),
            run_states=RunState.choices,
            queues=search.offered(conf.queue_names(), asked.asked.get("queue")),
            jobs=search.offered(registry.names(), asked.asked.get("job")),
        )

    def waiting_page(self, request: HttpRequest) -> HttpResponse:
        """What is due when."""
        return waiting_runs.waiting_page(self, request)

    def many_page(self, request: HttpRequest, name: str) -> HttpResponse:
        """Do one thing with all that a search matches."""
        return many_runs.many_page(self, request, name)

    def run_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        run = get_object_or_404(JobRun.objects.defer("payload"), pk=pk)
        attempts = list(run.history.order_by("-ended_at", "-pk")[:SHOWN_ATTEMPTS])
        why = why_section(run, attempts)
        burials = list(run.burials.select_related("cause").order_by("pk"))
        children = list(JobRun.objects.filter(parent=pk).only(*_LISTED).order_by("pk")[: SHOWN_CHILDREN + 1])
        steps = how_far.steps_of(run)
        return self.page(
            request,
            "run.html",
            title=run.name,
            run=run,
            burial=_open(burials),
            events=timeline(run, attempts[::-1], burials, timezone.now(), why=why.first.told if why else None),
            why=why,
            why_heading=why and heading(why),
            how_far=how_far.how_far(run),
            steps=steps[-how_far.SHOWN_STEPS :],
            more_steps=len(steps) > how_far.SHOWN_STEPS,
            may_fuse=access.may(request, access.MANAGE_FUSES),
            **_belongs_to(run),
            tick=_tick_of(run),
            cause=_cause_of(attempts, burials),
            circuit=_circuit_of(run),
            latest_attempt=attempts[0].pk if attempts else None,
            has_traceback=bool(attempts and attempts[0].traceback),
            attempts_capped=len(attempts) == SHOWN_ATTEMPTS,
            children=children[:SHOWN_CHILDREN],
            more_children=len(children) > SHOWN_CHILDREN,
            has_parent=run.parent and JobRun.objects.filter(pk=run.parent).exists(),
            actions=acting.offered(request, ACTIONS, run),
            may_see_payload=access.may(request, access.VIEW_PAYLOAD),
            policy=_policy_of(run),
            audit_entries=audit_log.latest(request, str(run.pk)),
        )

    def payload_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Ask first, for the look itself is recorded; then show the payload."""
        target = str(pk)
        if refused := access.refusal(request, access.VIEW_PAYLOAD, action="view_payload", target=target):
            return refused
        run = get_object_or_404(JobRun, pk=pk)
        shows = request.method == "POST"
        if shows:
            reason = acting.reason_of(request)
            audit.record(action="view_payload", target=target, reason=reason, **access.who(request))
        response = self.page(request, "payload.html", title=_("Raw payload"), run=run, shows=shows)
        response.headers["Cache-Control"] = "no-store"
        return response

    def retry_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Retry from the page of the object that the run is about, and go back there; see `inlines`.

        Nothing is read of the form, which is that page's own.
        """
        target, action = str(pk), ACTIONS["retry"]
        if refused := access.refusal(request, action.permission, action=action.recorded, target=target):
            return refused
        page = reverse("admin:jobs_jobrun_change", args=[pk])
        if request.method != "POST":
            return redirect(page)
        run = get_object_or_404(JobRun.objects.defer("payload"), pk=pk)
        burial = run.burials.filter(life=key_or_none(request.GET.get("life"), int)).order_by("-pk").first()
        words = access.who(request)
        acting.tell(request, lambda: action.verb(run, burial, **words), lambda: acting.text_of(action.done, run))
        return redirect(acting.inside(request, request.GET.get("back", ""), otherwise=page))

    def action_page(self, request: HttpRequest, pk: uuid.UUID, name: str) -> HttpResponse:
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: get_object_or_404(JobRun.objects.defer("payload"), pk=pk),
            target=str(pk),
            back=reverse("admin:jobs_jobrun_change", args=[pk]),
            given=lambda run: {"burial": _burial_meant(request, run), **_postponed(request, name)},
            template="run_act.html",
            shown=lambda run: {
                "run": run,
                "burial": _open(run.burials.all()),
                "until": request.POST.get("until", ""),
            },
        )


def _postponed(request: HttpRequest, name: str) -> dict[str, Any]:
    """Until when, of a run that is postponed. Raises ValueError."""
    if name != "postpone":
        return {}
    zone = timezone.get_current_timezone_name()
    if until := moment_to_come(request.POST.get("until", "").strip(), zone):
        return {"until": until}
    raise ValueError(_("Write for how long, such as 2h, or until when."))


def _belongs_to(run: JobRun) -> dict[str, Any]:
    """The batch whose member it is, and the step of a workflow that this batch is."""
    batch = Batch.objects.filter(pk=run.batch_id).first() if run.batch_id else None
    steps = WorkflowStep.objects.select_related("workflow")
    return {"batch": batch, "step": steps.filter(batch=batch).first() if batch and batch.workflow_id else None}


def _tick_of(run: JobRun) -> ScheduleTick | None:
    """The due time of a schedule that asked for it."""
    ticks = ScheduleTick.objects.filter(run=run.pk, state=TickState.ASKED)
    return ticks.select_related("schedule").first()


def _asked_for(model: type[Belonging], text: str | None) -> Belonging | None:
    """The batch or workflow whose runs the list is of."""
    key = key_or_none(text, int)
    return model._default_manager.filter(pk=key).only("name").first() if key is not None else None


def _burial_meant(request: HttpRequest, run: JobRun) -> DeadJob | None:
    """The burial that the form was made for: a click on an old page must not touch a later one."""
    meant = key_or_none(request.POST.get("burial"), int)
    burials = run.burials.order_by("-pk")
    return (burials.filter(pk=meant) if meant else burials).first()


def _open(burials: Iterable[DeadJob]) -> DeadJob | None:
    return next((burial for burial in burials if not burial.resolution), None)


def _cause_of(attempts: Sequence[JobAttempt], burials: Sequence[DeadJob]) -> FailureCause | None:
    """The cause of the latest failure."""
    if burials and burials[-1].cause_id and not burials[-1].resolution:
        return burials[-1].cause
    latest = next((attempt.fingerprint for attempt in attempts if attempt.fingerprint), None)
    return FailureCause.objects.filter(fingerprint=latest).first() if latest else None


def _policy_of(run: JobRun) -> Sheet | None:
    """What the code says of its retries now; None where this process does not know the job."""
    job = registry.find(run.name)
    return sheets.sheet(job, attempts=run.options.get("attempts")) if job is not None else None


def _circuit_of(run: JobRun) -> str | None:
    """The circuit of the job, as the code has it now."""
    job = registry.find(run.name)
    return job.options.circuit if job is not None else None


def _state_counts() -> list[Counted]:
    rows = {state.value: JobRun.objects.filter(state=state) for state in RunState}
    return counted(rows, on=JobRun.objects.all())

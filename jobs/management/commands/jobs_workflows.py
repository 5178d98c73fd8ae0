"""`manage.py jobs_workflows`: lists workflows, shows one as a tree, and does what an operator can do with one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Q, QuerySet

from jobs import workflows
from jobs.errors import JobsError
from jobs.management import trees
from jobs.management.acting import actor, reason_given, takes_reason
from jobs.management.options import positive
from jobs.management.reaching import needs_database
from jobs.models import Workflow, WorkflowStep
from jobs.models.workflows import StepState, WorkflowState
from jobs.policy import references

_REFUSED, _MISUSE = 1, 2
_OPEN = Q(steps__state__in=[StepState.WAITING, StepState.RUNNING])


class Command(BaseCommand):
    """Does one of six verbs. Exit status: 0 done, 1 refused, or with --check some have stalled, 2 asked wrongly, or no
    database to ask."""

    help = (
        "List workflows, show one as a tree, retry one from a step, skip a step, cancel or resume one. "
        "A workflow is named by its number or its key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="list | show | retry-from | skip | cancel | resume")
        listing = verbs.add_parser("list", help="list those that have not ended; this is what happens without a verb")
        listing.add_argument("--all", action="store_true", dest="ended_too", help="those that have ended, too")
        listing.add_argument("--state", choices=WorkflowState.values, help="only those in this state")
        listing.add_argument("--limit", type=positive, default=20, help="so many at the most, the latest first (20)")
        listing.add_argument("--check", action="store_true", help="only those that have stalled; status 1 if there are")
        showing = verbs.add_parser("show", help="show one, with its steps as a tree")
        for looking in (listing, showing):
            looking.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per line")
        retrying = verbs.add_parser("retry-from", help="do a step anew, and all that comes after it")
        skipping = verbs.add_parser("skip", help="leave a step out, so that those after it go on")
        cancelling = verbs.add_parser("cancel", help="let nothing more begin, and stop what runs")
        resuming = verbs.add_parser("resume", help="go on with one that was cancelled, or look at one in trouble now")
        for naming in (showing, retrying, skipping, cancelling, resuming):
            naming.add_argument("workflow", help="its number or its key")
        for naming in (retrying, skipping):
            naming.add_argument("step", help="the step's name")
        for acting in (retrying, skipping, cancelling, resuming):
            takes_reason(acting)
        # Also without the verb, for a monitor.
        parser.add_argument("--check", action="store_true", help="the same as list --check")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        verbs = {
            "show": self._show,
            "retry-from": self._retry_from,
            "skip": self._skip,
            "cancel": self._cancel,
            "resume": self._resume,
        }
        try:
            verbs.get(options["verb"], self._list)(options)
        except JobsError as error:
            raise CommandError(str(error), returncode=_REFUSED) from error

    def _list(self, options: dict[str, Any]) -> None:
        if options.get("check"):
            self._check(options)
            return
        rows = Workflow.objects.order_by("-pk")
        if options.get("state"):
            rows = rows.filter(state=options["state"])
        elif not options.get("ended_too"):
            rows = rows.filter(state=WorkflowState.RUNNING)
        self._tell(rows[: options.get("limit", 20)], options, nothing=_nothing(options))

    def _check(self, options: dict[str, Any]) -> None:
        rows = workflows.stalled()
        self._tell(rows, options, nothing="No workflow has stalled.")
        if count := rows.count():
            shown = f"{count:,} workflow{' has' if count == 1 else 's have'} stalled"
            raise CommandError(f'{shown}: see "jobs_workflows show", and "resume".', returncode=_REFUSED)

    def _tell(self, rows: QuerySet[Workflow], options: dict[str, Any], *, nothing: str) -> None:
        found = list(rows.annotate(open_steps=Count("steps", filter=_OPEN), all_steps=Count("steps")))
        for row in found:
            self.stdout.write(json.dumps(_facts(row)) if options.get("as_json") else _in_words(row))
        if not found and not options.get("as_json"):
            self.stdout.write(nothing)

    def _show(self, options: dict[str, Any]) -> None:
        workflow = _named(options["workflow"])
        steps = list(workflow.steps.order_by("place"))
        if options["as_json"]:
            self.stdout.write(json.dumps(_facts(workflow) | {"steps": [_step_facts(step) for step in steps]}))
            return
        self.stdout.write("\n".join([_in_words(workflow), *trees.lines(steps)]))

    def _retry_from(self, options: dict[str, Any]) -> None:
        workflow, step = _named(options["workflow"]), options["step"]
        workflows.retry_from(workflow, step, **_who(options))
        self.stdout.write(f'Workflow {workflow.pk} does "{step}" anew, and what comes after it follows.')

    def _skip(self, options: dict[str, Any]) -> None:
        workflow, step = _named(options["workflow"]), options["step"]
        workflows.skip(workflow, step, **_who(options))
        self.stdout.write(f'Workflow {workflow.pk} leaves "{step}" out: those after it go on.')

    def _cancel(self, options: dict[str, Any]) -> None:
        workflow = _named(options["workflow"])
        workflows.cancel(workflow, **_who(options))
        self.stdout.write(f"Workflow {workflow.pk} is cancelled: nothing more begins, and what runs is being stopped.")

    def _resume(self, options: dict[str, Any]) -> None:
        workflow = _named(options["workflow"])
        workflows.resume(workflow, **_who(options))
        self.stdout.write(f"Workflow {workflow.pk} goes on where it was.")


def _who(options: dict[str, Any]) -> dict[str, str]:
    return {"actor": actor("jobs_workflows"), "reason": reason_given(options)}


def _nothing(options: dict[str, Any]) -> str:
    """What is said where none is listed."""
    if options.get("state"):
        return f'No workflow is in the state "{options["state"]}".'
    return "There is no workflow." if options.get("ended_too") else "No workflow is running."


def _named(text: str) -> Workflow:
    """The workflow of this key, or else of this number."""
    found = Workflow.objects.filter(key=text).first()
    if found is None and text.isdecimal() and len(text) < 19:
        found = Workflow.objects.filter(pk=int(text)).first()
    if found is None:
        raise CommandError(f'There is no workflow "{text}". See jobs_workflows list --all.', returncode=_MISUSE)
    return found


def _in_words(row: Workflow) -> str:
    words = [f"{row.pk:>6}  {row.state:<9}  {row.name}"]
    if row.key:
        words.append(f"[{row.key}]")
    if steps := getattr(row, "all_steps", 0):
        words.append(f"{steps - getattr(row, 'open_steps', 0)} of {steps} steps ended")
    words.append(f"since {row.created_at:%Y-%m-%d %H:%M %Z}")
    if row.stalled_at:
        words.append(f"stalled at {row.stalled_at:%H:%M}")
    return "  ".join([*words, *([f"! {row.trouble}"] if row.trouble else [])])


def _facts(row: Workflow) -> dict[str, Any]:
    return {
        "workflow": row.pk,
        "name": row.name,
        "key": row.key,
        "state": row.state,
        "trouble": row.trouble,
        "stalls": row.stalls,
        "stalled_at": _iso(row.stalled_at),
        "created_at": _iso(row.created_at),
        "moved_at": _iso(row.moved_at),
        "ended_at": _iso(row.ended_at),
    }


def _step_facts(step: WorkflowStep) -> dict[str, Any]:
    runs: Sequence[Any] = step.run_ids()[:1]
    return {
        "step": step.name,
        "state": step.state,
        "why": step.why,
        "job": step.job,
        "after": step.after,
        "needs": step.needs,
        "when": [references.in_words(condition) for condition in step.when],
        "runs": step.size,
        "first_run": str(runs[0]) if runs else None,
        "batch": step.batch_id,
        "rounds": step.rounds,
        "started_at": _iso(step.started_at),
        "ended_at": _iso(step.ended_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

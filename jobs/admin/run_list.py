"""The Jobs page: one box that searches runs, filters beside it, and what can be done with all that it finds."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs import conf, fuses, registry
from jobs.admin import access, many_runs, search, view_pages
from jobs.admin.console import ConsoleAdmin
from jobs.admin.keyset import WINDOW, Counted, counted, key_or_none, page_asked
from jobs.admin.run_filter import RunFilter
from jobs.admin.run_terms import find_run, jobs_named
from jobs.models import Batch, JobRun, RunState, Workflow

Belonging = TypeVar("Belonging", Batch, Workflow)
# What a row of the list shows; payloads and results may be large.
LISTED = (
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
_AGES = (
    ("15m", gettext_lazy("15 min")),
    ("1h", gettext_lazy("hour")),
    ("1d", gettext_lazy("day")),
    ("7d", gettext_lazy("week")),
)


@dataclass(frozen=True)
class Choice:
    """A filter beside the list: what it is called, the query that it leads to, and whether it is on."""

    label: str
    query: str
    is_on: bool


def list_page(console: ConsoleAdmin, request: HttpRequest) -> HttpResponse:
    """The runs that are asked for, newest first; an id alone leads to its run."""
    asked = RunFilter.read(request.GET)
    if (word := asked.only_id or _only_word(asked)) and (run := find_run(word)):
        return redirect("admin:jobs_jobrun_change", pk=run.pk)
    page = page_asked(asked.rows().only(*LISTED), request.GET, convert=uuid.UUID)
    return console.page(
        request,
        "runs.html",
        title=_("Jobs"),
        asked=asked,
        page=page,
        many=many_runs.offered(request, asked) if page.rows else [],
        acts=many_runs.may_act(request) if page.rows else [],
        holders=fuses.holders(page.rows),
        job=asked.only("job"),
        may_fuse=access.may(request, access.MANAGE_FUSES),
        may_enqueue=access.may(request, access.ENQUEUE),
        may_export=access.may(request, access.EXPORT),
        batch=_asked_for(Batch, asked.only("batch")),
        workflow=_asked_for(Workflow, asked.only("workflow")),
        dropped=[(term.text, asked.without(term)) for term in asked.terms],
        window=WINDOW,
        states=[(each, asked.turned("state", each.name), asked.only("state") == each.name) for each in _state_counts()],
        queues=_choices(asked, "queue", conf.queue_names()),
        jobs=_choices(asked, "job", registry.names()),
        ages=[Choice(str(label), asked.turned("after", age), asked.only("after") == age) for age, label in _AGES],
        hints=_hints(),
        views=view_pages.offered(request, asked),
    )


def _only_word(asked: RunFilter) -> str | None:
    """A bare word alone that no job has in its name: it may be an id that plain RQ gave."""
    words = [term.only for term in asked.terms if term.name == "job?"]
    return words[0] if len(words) == len(asked.terms) == 1 and words[0] and not jobs_named(words[0]) else None


def _choices(asked: RunFilter, name: str, known: Sequence[str]) -> list[Choice]:
    chosen = asked.only(name)
    every = search.offered(list(known), chosen)
    return [Choice(each, asked.turned(name, each), each == chosen) for each in every]


def _hints() -> list[str]:
    """What the box offers while one types: without script a browser compares the whole of it."""
    states: Iterable[str] = (search.written("state", state) for state in RunState.values)
    queues = (search.written("queue", name) for name in conf.queue_names())
    jobs = (search.written("job", name) for name in registry.names())
    return [*(f"{name}:" for name in search.QUALIFIERS), "args.", *states, *queues, *jobs]


def _asked_for(model: type[Belonging], text: str | None) -> Belonging | None:
    """The batch or workflow whose runs the list is of."""
    key: Any = key_or_none(text, int)
    return model._default_manager.filter(pk=key).only("name").first() if key is not None else None


def _state_counts() -> list[Counted]:
    rows = {state.value: JobRun.objects.filter(state=state) for state in RunState}
    return counted(rows, on=JobRun.objects.all())

"""What a search of the Jobs page finds, as a file: masked arguments, and never a payload or a result."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from jobs import audit, conf
from jobs.admin import access, acting
from jobs.admin.console import ConsoleAdmin
from jobs.admin.files import KINDS, as_file
from jobs.admin.keyset import key_or_none
from jobs.admin.run_filter import RunFilter
from jobs.admin.search import parse_iso
from jobs.models import JobRun

FIELDS = (
    *("id", "rq_id", "name", "queue", "state", "arguments", "attempts", "max_attempts", "life", "created_at", "due_at"),
    *("started_at", "ended_at", "wait_ms", "run_ms", "worker", "release", "parent", "correlation", "subject", "batch"),
    *("error_class", "error_message"),
)
_CHUNK = 500


def export_page(console: ConsoleAdmin, request: HttpRequest) -> HttpResponseBase:
    """Say how many there are, on GET; on POST send them, newest first, and write down who took what."""
    sent = request.POST if request.method == "POST" else request.GET
    if refused := access.refusal(request, access.EXPORT, action="export", target=sent.get("q", "")[:300]):
        return refused
    as_of = key_or_none(sent.get("as_of"), parse_iso) or timezone.now()
    asked = RunFilter.read(sent, now=as_of)
    limit = conf.get().BULK_LIMIT
    rows = asked.rows().order_by("-pk")
    if up_to := key_or_none(sent.get("up_to"), uuid.UUID):
        rows = rows.filter(pk__lte=up_to)
    count = rows.values("pk")[: limit + 1].count()
    kind = sent.get("format", "")
    if request.method == "POST" and kind in KINDS and not asked.problems:
        return _file(request, asked, rows[:limit], kind, count=min(count, limit))
    newest = next(iter(rows.values_list("pk", flat=True)[:1]), None)
    return console.page(
        request,
        "export.html",
        title=_("Export"),
        asked=asked,
        count=min(count, limit),
        limit=limit if count > limit else None,
        limit_text=number_format(limit, force_grouping=True),
        fields=FIELDS,
        as_of=as_of,
        up_to=newest,
    )


def _file(request: HttpRequest, asked: RunFilter, rows: QuerySet[JobRun], kind: str, *, count: int) -> HttpResponseBase:
    audit.record(
        action="export",
        target="runs",
        reason=acting.reason_of(request),
        count=count,
        filter={"search": asked.text, "format": kind},
        **access.who(request),
    )
    return as_file(kind, "jobs", FIELDS, _facts(rows, count))


def _facts(rows: QuerySet[JobRun], count: int) -> Iterator[dict[str, Any]]:
    """The rows, some at a time and each from behind the last: no transaction stays open while somebody downloads."""
    wanted = rows.all()
    wanted.query.clear_limits()
    last: uuid.UUID | None = None
    while count > 0:
        behind = wanted if last is None else wanted.filter(pk__lt=last)
        some = list(behind.values(*FIELDS)[: min(_CHUNK, count)])
        yield from some
        if len(some) < min(_CHUNK, count):
            return
        count -= len(some)
        last = some[-1]["id"]

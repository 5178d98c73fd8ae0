"""What a search of the Jobs page finds, as a file: masked arguments, and never a payload or a result."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from jobs import audit, conf
from jobs.admin import access, acting
from jobs.admin.console import ConsoleAdmin
from jobs.admin.keyset import key_or_none
from jobs.admin.run_filter import RunFilter
from jobs.admin.search import parse_iso
from jobs.models import JobRun
from jobs.policy.csv_cells import cell

FIELDS = (
    *("id", "rq_id", "name", "queue", "state", "arguments", "attempts", "max_attempts", "life", "created_at", "due_at"),
    *("started_at", "ended_at", "wait_ms", "run_ms", "worker", "release", "parent", "correlation", "subject", "batch"),
    *("error_class", "error_message"),
)
_CHUNK = 500
_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


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
    if request.method == "POST" and kind in _TYPES and not asked.problems:
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
    lines = {"csv": _csv, "json": _json}[kind](_facts(rows, count))
    response = StreamingHttpResponse(lines, content_type=_TYPES[kind])
    name = f"jobs-{timezone.now():%Y%m%d-%H%M%S}.{kind}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


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


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _csv(facts: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    write: Callable[[list[str]], str] = csv.writer(_Echo()).writerow
    yield write(list(FIELDS))
    for each in facts:
        yield write([cell(_told(name, each[name])) for name in FIELDS])


def _json(facts: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    before = "[\n"
    for each in facts:
        told = {name: each[name] if name == "arguments" else _plain(each[name]) for name in FIELDS}
        yield before + json.dumps(told, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _told(name: str, value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if name == "arguments" else _plain(value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

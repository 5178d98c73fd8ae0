"""Lists as files: streamed, so that none is too long, and safe to open. What is in them, pages say."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils import timezone

from jobs.policy.csv_cells import cell

Row = Mapping[str, Any]
KINDS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def as_file(kind: str, name: str, columns: Sequence[str], rows: Iterable[Row]) -> StreamingHttpResponse:
    """A file for a person to keep: one of `KINDS`. `name` begins the file's. Moments are in UTC.

    No browser or proxy keeps the answer, and no cell is a formula.
    """
    lines = {"csv": _csv, "json": _json}[kind](columns, ({each: _plain(row[each]) for each in columns} for row in rows))
    answer = StreamingHttpResponse(lines, content_type=KINDS[kind])
    answer["Content-Disposition"] = f'attachment; filename="{name}-{timezone.now():%Y%m%d-%H%M%S}.{kind}"'
    answer["Cache-Control"] = "no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _csv(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([cell(_text(row[each])) for each in columns])


def _json(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, UUID) else value


def _text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

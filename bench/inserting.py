"""Rows into a table by the fastest way that its database has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from django.db import connection, models

from jobs.models import JobRun

_ROWS_AT_ONCE = 5000

Row = dict[str, Any]


def insert(model: type[models.Model], template: Row, rows: Iterable[Row]) -> None:
    """Add rows by the fastest way that the database has. All of them name the same columns."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    fields = [field for field in model._meta.concrete_fields if not field.primary_key or field.attname in first]
    same = _prepared(model(**template), fields)
    varying = {field.attname: field for field in fields if field.attname in first}

    def values(row: Row) -> list[Any]:
        return [*({**same, **{name: _value(varying[name], value) for name, value in row.items()}}.values())]

    stream = (values(row) for row in _with(first, rows))
    columns = [str(field.column) for field in fields]
    (_copy if connection.vendor == "postgresql" else _insert_many)(model._meta.db_table, columns, stream)


def _prepared(one: models.Model, fields: list[Any]) -> dict[str, Any]:
    return {field.attname: _value(field, getattr(one, field.attname)) for field in fields}


def _value(field: Any, value: Any) -> Any:
    if isinstance(field, models.JSONField) and value is not None:
        return json.dumps(value)
    return field.get_db_prep_value(value, connection)


def _with(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest


def _copy(table: str, columns: list[str], rows: Iterator[list[Any]]) -> None:
    with connection.cursor() as cursor:
        copying: Callable[[str], Any] = cursor.cursor.copy
        with copying(f"COPY {table} ({', '.join(_quoted(columns))}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        if "id" not in columns or table != JobRun._meta.db_table:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), (SELECT max(id) FROM " + table + "))", [table]
            )


def _insert_many(table: str, columns: list[str], rows: Iterator[list[Any]]) -> None:
    marks = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            cursor.executemany(f"INSERT INTO {table} ({', '.join(_quoted(columns))}) VALUES ({marks})", chunk)


def _quoted(columns: list[str]) -> list[str]:
    return [connection.ops.quote_name(column) for column in columns]

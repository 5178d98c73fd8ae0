"""Writes the rows of runs that were just asked for: lean statements of our own. Changes no row.

Django's `bulk_create` makes an instance of every row, looks at each of its fields and costs 120 µs a row, of which the
database needs 10 to 20. Here what rows have in common is prepared once and sent once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Field, JSONField

from jobs.models.runs import JobRun

# The statement for so many is built once; SQLite takes no more than 32,766 values in one.
_ROWS_AT_ONCE = 500
_SIMPLE = (str, int, type(None))
# What a row has of its own, in the order of `_own_values`.
_OWN = ("id", "rq_id", "payload", "arguments", "unique_key")


class NewRun(NamedTuple):
    """What a row has of its own; `payload` and `arguments` are JSON text."""

    id: str
    payload: str
    arguments: str
    unique_key: str | None = None


def insert(runs: Sequence[NewRun], shared: Mapping[str, Any], *, using: str, ignore_conflicts: bool = False) -> None:
    """Write a row for each run. `shared` has what is the same in all of them by field; other fields get their default.

    Several statements may be needed: whoever wants all rows or none opens a transaction. With `ignore_conflicts` runs
    that would break a unique constraint are left out.
    """
    values = _shared_values(shared, using)
    after = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    from_many = _from_arrays if connections[using].vendor == "postgresql" else _from_values
    with connections[using].cursor() as cursor:
        for start in range(0, len(runs), _ROWS_AT_ONCE):
            some = runs[start : start + _ROWS_AT_ONCE]
            statement, parameters = (_of_one if len(some) == 1 else from_many)(some, values, using)
            cursor.execute(statement + after, parameters)


def _of_one(runs: Sequence[NewRun], values: dict[str, Any], using: str) -> tuple[str, list[Any]]:
    (run,) = runs
    own = _own_values(run, using)
    literals = tuple(None if column in own else _literal(value) for column, value in values.items())
    parameters = [
        own.get(column, value)
        for (column, value), literal in zip(values.items(), literals, strict=True)
        if literal is None
    ]
    return _insert_of_one(using, literals), parameters


def _from_values(runs: Sequence[NewRun], values: dict[str, Any], using: str) -> tuple[str, list[Any]]:
    shared = [value for column, value in values.items() if column not in _OWN]
    own = [value for run in runs for value in _own_values(run, using).values()]
    return _insert_from_values(using, len(runs)), [*shared, *own]


def _from_arrays(runs: Sequence[NewRun], values: dict[str, Any], using: str) -> tuple[str, list[Any]]:
    shared = [value for column, value in values.items() if column not in _OWN]
    return _insert_from_arrays(using), [*shared, *(list(column) for column in zip(*runs, strict=True))]


def _own_values(run: NewRun, using: str) -> dict[str, Any]:
    key = run.id if connections[using].features.has_native_uuid_field else run.id.replace("-", "")
    return dict(zip(_OWN, (key, run.id, run.payload, run.arguments, run.unique_key), strict=True))


def _shared_values(shared: Mapping[str, Any], using: str) -> dict[str, Any]:
    """What the database gets for each column, in the order of the columns; the runs' own are None."""
    given = {name: _prepared(field, shared[name], using) for name, field in _fields().items() if name in shared}
    return _defaults(using) | given


@cache
def _defaults(using: str) -> dict[str, Any]:
    return {
        name: None if name in _OWN else _prepared(field, field.get_default(), using)
        for name, field in _fields().items()
    }


@cache
def _insert_of_one(using: str, literals: tuple[str | None, ...]) -> str:
    return f"{_into(using)} VALUES ({', '.join('%s' if literal is None else literal for literal in literals)})"


@cache
def _insert_from_values(using: str, count: int) -> str:
    """SQLite's: its table of values names its columns by number."""
    chosen = [f"column{_OWN.index(name) + 1}" if name in _OWN else "%s" for name in _fields()]
    rows = ", ".join([f"({', '.join(['%s'] * len(_OWN))})"] * count)
    # Without a condition, "ON" would begin that of a join.
    return f"{_into(using)} SELECT {', '.join(chosen)} FROM (VALUES {rows}) WHERE true"  # noqa: S608


@cache
def _insert_from_arrays(using: str) -> str:
    """PostgreSQL's: an array per column, so that it is the same for any number of rows."""
    types = {name: field.db_type(connections[using]) for name, field in _fields().items()}
    own = {name: f"new.{name}::{types[name]}" for name in NewRun._fields} | {"rq_id": "new.id"}
    chosen = [own.get(name, f"%s::{types[name]}") for name in _fields()]
    arrays = ", ".join(["%s::text[]"] * len(NewRun._fields))
    # Names of columns and types from the model; no value is in it.
    return f"{_into(using)} SELECT {', '.join(chosen)} FROM unnest({arrays}) AS new ({', '.join(NewRun._fields)})"  # noqa: S608


def _into(using: str) -> str:
    quote = connections[using].ops.quote_name
    return f"INSERT INTO {quote(JobRun._meta.db_table)} ({', '.join(quote(name) for name in _fields())})"


@cache
def _fields() -> dict[str, Field[Any, Any]]:
    return {str(field.column): field for field in JobRun._meta.concrete_fields}


def _prepared(field: Field[Any, Any], value: Any, using: str) -> Any:
    if type(value) in _SIMPLE and not isinstance(field, JSONField):
        return value
    return field.get_db_prep_save(value, connections[using])


def _literal(value: Any) -> str | None:
    """What stands in the statement itself, None for what is handed to it: few values make it quick to send."""
    if value is None:
        return "NULL"
    if value == "":
        return "''"
    return str(value) if type(value) is int else None

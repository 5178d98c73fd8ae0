"""Writes the rows of runs that were just asked for: lean statements of our own. Changes no row.

Django's `bulk_create` makes an instance of every row, looks at each of its fields and costs 120 µs a row, of which the
database needs 10 to 20. Here what rows have in common is prepared once and sent once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, JSONField

from jobs.models.runs import JobRun

# The statement for so many is built once; SQLite takes no more than 32,766 values in one.
_ROWS_AT_ONCE = 500
_SIMPLE = (str, int, type(None))
_Values = dict[str, Any]
# What a row has of its own, in the order of `_own_values`.
_OWN = ("id", "rq_id", "payload", "arguments", "unique_key")
# The same where runs are about different objects; the others send nothing for that.
_OWN_ABOUT = (*_OWN, "subject")
_Own = tuple[str, ...]


class NewRun(NamedTuple):
    """What a row has of its own; `payload` and `arguments` are JSON text."""

    id: str
    payload: str
    arguments: str
    unique_key: str | None = None
    subject: str | None = None


def insert(runs: Sequence[NewRun], shared: Mapping[str, Any], *, using: str, ignore_conflicts: bool = False) -> None:
    """Write a row for each run. `shared` has what is the same in all of them by field; other fields get their default.

    Several statements may be needed: whoever wants all rows or none opens a transaction. With `ignore_conflicts` runs
    that would break a unique constraint are left out.
    """
    connection = connections[using]
    own = _OWN_ABOUT if any(run.subject for run in runs) else _OWN
    values = _shared_values(shared, connection, own)
    after = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    from_many = _from_arrays if connection.vendor == "postgresql" else _from_values
    with connection.cursor() as cursor:
        for start in range(0, len(runs), _ROWS_AT_ONCE):
            some = runs[start : start + _ROWS_AT_ONCE]
            statement, parameters = (_of_one if len(some) == 1 else from_many)(some, values, connection, own)
            cursor.execute(statement + after, parameters)


def _of_one(
    runs: Sequence[NewRun], values: _Values, connection: BaseDatabaseWrapper, own: _Own
) -> tuple[str, list[Any]]:
    its_own = dict(zip(own, next(_own_values(runs, connection, own)), strict=True))
    every = [(value, _constant(value)) for value in (values | its_own).values()]
    # Plain constants stand in the statement itself: few values make it quick to send.
    words = ", ".join(["%s" if constant is None else constant for _, constant in every])
    return f"{_into(connection.alias)} VALUES ({words})", [value for value, constant in every if constant is None]


def _from_values(
    runs: Sequence[NewRun], values: _Values, connection: BaseDatabaseWrapper, own: _Own
) -> tuple[str, list[Any]]:
    """SQLite's: its table of values names its columns by number."""
    theirs = [value for one in _own_values(runs, connection, own) for value in one]
    return _insert_from_values(connection.alias, len(runs), own), [*_shared_only(values, own), *theirs]


def _from_arrays(
    runs: Sequence[NewRun], values: _Values, connection: BaseDatabaseWrapper, own: _Own
) -> tuple[str, list[Any]]:
    """PostgreSQL's: an array per column, so that the statement is the same for any number of rows."""
    arrays = [list(column) for column in zip(*runs, strict=True)][: len(_arrays(own))]
    return _insert_from_arrays(connection.alias, own), [*_shared_only(values, own), *arrays]


def _own_values(runs: Sequence[NewRun], connection: BaseDatabaseWrapper, own: _Own) -> Iterator[tuple[Any, ...]]:
    is_native = connection.features.has_native_uuid_field
    for run_id, payload, arguments, unique_key, subject in runs:
        key = run_id if is_native else run_id.replace("-", "")
        if own is _OWN:
            yield key, run_id, payload, arguments, unique_key
        else:
            yield key, run_id, payload, arguments, unique_key, subject


def _shared_only(values: _Values, own: _Own) -> list[Any]:
    return [value for column, value in values.items() if column not in own]


def _shared_values(shared: Mapping[str, Any], connection: BaseDatabaseWrapper, own: _Own) -> _Values:
    """What the database gets for each column, in the order of the columns; the runs' own are None."""
    fields = _fields()
    given = {name: _prepared(fields[name], value, connection) for name, value in shared.items()}
    return _defaults(connection.alias, own) | given


@cache
def _defaults(using: str, own: _Own) -> _Values:
    return {
        name: None if name in own else _prepared(field, field.get_default(), connections[using])
        for name, field in _fields().items()
    }


@cache
def _insert_from_values(using: str, count: int, own: _Own) -> str:
    chosen = [f"column{own.index(name) + 1}" if name in own else "%s" for name in _fields()]
    rows = ", ".join([f"({', '.join(['%s'] * len(own))})"] * count)
    # Without a condition, "ON" would begin that of a join.
    return f"{_into(using)} SELECT {', '.join(chosen)} FROM (VALUES {rows}) WHERE true"  # noqa: S608


@cache
def _insert_from_arrays(using: str, own: _Own) -> str:
    types = {name: field.db_type(connections[using]) for name, field in _fields().items()}
    columns = _arrays(own)
    theirs = {name: f"new.{name}::{types[name]}" for name in columns} | {"rq_id": "new.id"}
    chosen = [theirs.get(name, f"%s::{types[name]}") for name in _fields()]
    arrays = ", ".join(["%s::text[]"] * len(columns))
    # Names of columns and types from the model; no value is in it.
    return f"{_into(using)} SELECT {', '.join(chosen)} FROM unnest({arrays}) AS new ({', '.join(columns)})"  # noqa: S608


def _arrays(own: _Own) -> _Own:
    """What PostgreSQL is sent an array of: a run's id in RQ is its id."""
    return tuple(name for name in own if name != "rq_id")


@cache
def _into(using: str) -> str:
    quote = connections[using].ops.quote_name
    return f"INSERT INTO {quote(JobRun._meta.db_table)} ({', '.join(quote(name) for name in _fields())})"


@cache
def _fields() -> dict[str, Field[Any, Any]]:
    return {str(field.column): field for field in JobRun._meta.concrete_fields}


def _prepared(field: Field[Any, Any], value: Any, connection: BaseDatabaseWrapper) -> Any:
    if isinstance(field, JSONField):
        # As text, for every database; PostgreSQL's adapter would write it anew for each row.
        return None if value is None else json.dumps(value, cls=field.encoder)
    if type(value) in _SIMPLE:
        return value
    return field.get_db_prep_save(value, connection)


def _constant(value: Any) -> str | None:
    """How SQL writes a value that cannot do any harm, None for others."""
    if value is None:
        return "NULL"
    if value == "":
        return "''"
    return str(value) if type(value) is int else None

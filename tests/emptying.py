"""Empties the tables after a test that commits, and keeps what `migrate` made: that takes ten times as long to make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connection
from django.test import TransactionTestCase

from jobs.models import RoleGrant

KEPT = tuple(model._meta.db_table for model in (ContentType, Permission, Group, Group.permissions.through, RoleGrant))

flush_all: Callable[[Any], None] = TransactionTestCase._fixture_teardown
_made: list[list[tuple[Any, ...]]] = []


def flush(case: Any) -> None:
    """Take Django's place after a test. What is to be kept and was changed is made anew, by Django."""
    is_plain = not (case.available_apps or case.serialized_rollback)
    if is_plain and set(case._databases_names(include_mirrors=False)) == {DEFAULT_DB_ALIAS} and _made == kept():
        _empty()
        return
    flush_all(case)
    _made[:] = kept()


def kept() -> list[list[tuple[Any, ...]]]:
    """The rows of each table that is kept."""
    with connection.cursor() as cursor:
        return [_rows(cursor, table) for table in KEPT]


def _rows(cursor: Any, table: str) -> list[tuple[Any, ...]]:
    cursor.execute(f"SELECT * FROM {table} ORDER BY id")
    return list(cursor.fetchall())


def _empty() -> None:
    there = connection.introspection.django_table_names(only_existing=True, include_views=False)
    tables = [table for table in there if table not in KEPT]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables))

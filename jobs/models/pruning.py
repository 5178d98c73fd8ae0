"""Deletes very many rows without holding locks for long. Knows no ages: whoever calls says which rows."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

_AT_ONCE = 500


def delete_in_chunks(rows: QuerySet[Any]) -> int:
    """Delete these rows and what hangs on them, some hundred at a time. Returns how many rows they were."""
    count = 0
    while ids := list(rows.values_list("pk", flat=True)[:_AT_ONCE]):
        # Asked for anew: a row may have changed since, and stay.
        _, deleted = rows.filter(pk__in=ids).delete()
        count += deleted.get(rows.model._meta.label, 0)
    return count

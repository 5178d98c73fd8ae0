"""Locks on rows that several processes go over at once."""

from __future__ import annotations

from django.db import connections
from django.db.models import QuerySet

from jobs.models.runs import JobRun


def lock_free(rows: QuerySet[JobRun], *, using: str) -> QuerySet[JobRun]:
    """Those of the rows that nobody else has locked, locked until this database's transaction ends."""
    # SQLite has no row locks; its transaction holds the whole database for the moment that this takes.
    can_skip = connections[using].features.has_select_for_update_skip_locked
    return rows.using(using).select_for_update(skip_locked=can_skip)

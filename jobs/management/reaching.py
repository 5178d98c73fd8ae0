"""What a command says when the database cannot serve it. It mends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import Error, connections, router
from django.db.migrations.executor import MigrationExecutor

from jobs.models import JobRun

UNREACHED = 2


@contextmanager
def needs_database() -> Iterator[None]:
    """Turns the error of a database that does not answer, or lacks our tables, into one sentence and status 2."""
    try:
        yield
    except Error as error:
        if problem := _problem():
            raise CommandError(problem, returncode=UNREACHED) from error
        raise


def _problem() -> str:
    """Why no command of ours could work, with the cure; empty when the database is fit for them."""
    alias = router.db_for_write(JobRun)
    connection = connections[alias]
    try:
        # What is left of a connection that broke would not tell whether the server answers.
        connection.close_if_unusable_or_obsolete()
        executor = MigrationExecutor(connection)
    except Error as error:
        why = " ".join(str(error).split())
        return f'The database "{alias}" does not answer ({why}). Start it, or correct DATABASES["{alias}"].'
    if executor.migration_plan(executor.loader.graph.leaf_nodes("jobs")):
        return f'The database "{alias}" lacks tables or columns of jobs. Run "manage.py migrate" first.'
    return ""

"""What the audit holds stays, by whatever way somebody tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction

from jobs import audit
from jobs.models import AuditEntry


def an_entry() -> AuditEntry:
    return audit.record(actor="ann", action="discard", target="17")


BY_WORDS: dict[str, Callable[[AuditEntry], Any]] = {
    "save": lambda entry: entry.save(),
    "delete": lambda entry: entry.delete(),
    "update": lambda entry: AuditEntry.objects.update(actor="bob"),
    "delete all": lambda entry: AuditEntry.objects.all().delete(),
    "bulk update": lambda entry: AuditEntry.objects.bulk_update([entry], ["actor"]),
    "update or create": lambda entry: AuditEntry.objects.update_or_create({"actor": "bob"}, pk=entry.pk),
}
AROUND: dict[str, Callable[[], Any]] = {
    "sql update": lambda: _sql("UPDATE jobs_auditentry SET actor = 'bob'"),
    "sql delete": lambda: _sql("DELETE FROM jobs_auditentry"),
    "plain queryset update": lambda: models.QuerySet(AuditEntry).update(actor="bob"),
    "plain queryset delete": lambda: models.QuerySet(AuditEntry).delete(),
    "raw save": lambda: models.Model.save_base(AuditEntry.objects.get(), raw=True),
}


def _sql(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text)


@pytest.mark.django_db
@pytest.mark.parametrize("way", BY_WORDS)
def test_the_model_refuses_to_change_or_delete_an_entry(way: str) -> None:
    entry = an_entry()
    with pytest.raises(TypeError, match="never"):
        BY_WORDS[way](entry)


@pytest.mark.django_db
@pytest.mark.parametrize("way", AROUND)
def test_the_database_refuses_what_goes_around_the_model(way: str) -> None:
    an_entry()
    with pytest.raises(DatabaseError, match="an audit entry is never"), transaction.atomic():
        AROUND[way]()
    assert AuditEntry.objects.get().actor == "ann"


@pytest.mark.django_db(transaction=True)
def test_to_flush_the_tables_still_works() -> None:
    an_entry()
    call_command("flush", interactive=False, verbosity=0)
    assert not AuditEntry.objects.exists()

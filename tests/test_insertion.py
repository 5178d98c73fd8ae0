"""Rows of runs are written by statements of our own, and hold what Django would have written."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, router
from django.forms.models import model_to_dict

from jobs.models import JobRun
from jobs.models.insertion import NewRun, insert

pytestmark = pytest.mark.django_db(transaction=True)

USING = router.db_for_write(JobRun)
SHARED = {
    "name": "tests.sample.add",
    "queue": "default",
    "state": "scheduled",
    "options": {"attempts": 3},
    "max_attempts": 3,
    "created_at": datetime(2026, 11, 22, 5, 0, 0, 123456, tzinfo=UTC),
    "due_at": datetime(2026, 11, 23, tzinfo=UTC),
    "parent": uuid.uuid4(),
    "correlation": "50% of it's a \\ request",
}


def new_run(unique_key: str | None = None) -> NewRun:
    return NewRun(str(uuid.uuid4()), '[["%s", "it\'s \\u00e9 \\\\ 100%", 1.5], {}]', '{"left": null}', unique_key)


def as_stored(pk: object) -> dict[str, object]:
    """Every column of a row, as the database has it."""
    columns = ", ".join(f'"{field.column}"' for field in JobRun._meta.concrete_fields)
    key = JobRun._meta.pk.get_db_prep_value(uuid.UUID(str(pk)), connection)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM jobs_jobrun WHERE id = %s", [key])
        return dict(zip((field.name for field in JobRun._meta.concrete_fields), cursor.fetchone(), strict=True))


@pytest.mark.parametrize("unique_key", [None, "a key"])
@pytest.mark.parametrize("count", [1, 2, 1100])
@pytest.mark.parametrize("left_out", [(), ("due_at", "parent", "correlation", "options")])
def test_every_column_holds_what_bulk_create_would_write(unique_key, count, left_out):
    shared = {name: value for name, value in SHARED.items() if name not in left_out}
    runs = [new_run(unique_key and f"{unique_key} {number}") for number in range(count)]
    insert(runs, shared, using=USING)
    assert JobRun.objects.count() == count
    last = JobRun.objects.get(pk=runs[-1].id)
    ours = as_stored(last.pk)
    last.delete()
    by_django = JobRun(
        id=uuid.UUID(runs[-1].id),
        rq_id=runs[-1].id,
        payload=[["%s", "it's é \\ 100%", 1.5], {}],
        arguments={"left": None},
        unique_key=runs[-1].unique_key,
        **shared,
    )
    JobRun.objects.bulk_create([by_django])
    assert ours == as_stored(by_django.pk)
    assert model_to_dict(last, exclude=["id"]) == model_to_dict(by_django, exclude=["id"])


@pytest.mark.parametrize("count", [1, 3])
def test_conflicts_are_left_out_only_when_asked_for(count):
    insert([new_run("taken")], SHARED, using=USING)
    runs = [new_run("taken"), *(new_run(f"free {number}") for number in range(count - 1))]
    with pytest.raises(IntegrityError):
        insert(runs, SHARED, using=USING)
    insert(runs, SHARED, using=USING, ignore_conflicts=True)
    assert JobRun.objects.count() == count
    assert not JobRun.objects.filter(pk=runs[0].id).exists()


def test_what_no_row_can_hold_is_not_left_out_silently():
    with pytest.raises(IntegrityError):
        insert([new_run()], SHARED | {"state": "lost"}, using=USING, ignore_conflicts=True)
    with pytest.raises(IntegrityError):
        insert([new_run(), new_run()], SHARED | {"state": "lost"}, using=USING, ignore_conflicts=True)

"""Runs are found by the object that they are about."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import checks
from django.db import transaction

from jobs import checks as jobs_checks
from jobs import job, registry
from jobs.errors import BadOptions
from jobs.models import JobRun
from jobs.recorder import rows
from jobs.registry import Prepared
from jobs.subjects import jobs_for
from tests.admin.rows import a_run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def greet(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(registry, "_jobs", dict(registry._jobs))

    @job(name="tests.greet", subject={"user_id": User})
    def greet(user_id: int, words: str = "") -> None: ...

    return greet


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch, greet: Any) -> Any:
    @job(name="tests.count")
    def count() -> None: ...

    return count


@pytest.fixture
def ada() -> User:
    return User.objects.create(username="ada")


def subject_of(run: Any) -> str | None:
    return JobRun.objects.get(pk=run.id).subject


def test_a_run_is_about_what_its_argument_names(greet: Any, ada: User) -> None:
    assert subject_of(greet.enqueue(ada.pk)) == f"auth.user:{ada.pk}"
    assert [subject_of(run) for run in greet.enqueue_many([(1,), {"user_id": 2}, (None,)])] == [
        "auth.user:1",
        "auth.user:2",
        None,
    ]


def test_a_run_is_about_what_using_says_instead(greet: Any, count: Any, ada: User) -> None:
    team = Group.objects.create(name="team")
    assert subject_of(count.using(subject=ada).enqueue()) == f"auth.user:{ada.pk}"
    assert subject_of(greet.using(subject=team).enqueue(ada.pk)) == f"auth.group:{team.pk}"
    assert subject_of(count.enqueue()) is None


def test_a_prepared_call_keeps_it(count: Any, ada: User) -> None:
    told = count.using(subject=ada).prepare().as_json()
    assert subject_of(Prepared.of(told).enqueue()) == f"auth.user:{ada.pk}"


def test_a_run_that_gets_its_row_late_is_about_it_too(greet: Any, ada: User) -> None:
    told = {
        "id": str(uuid.uuid4()),
        "name": greet.name,
        "queue": "default",
        "payload": [[ada.pk], {}],
        "arguments": {"user_id": ada.pk},
        "max_attempts": 1,
        "created_at": "2026-11-22T12:00:00+00:00",
    }
    assert rows.run({"run": told["id"], "life": 0, "row": told}).subject == f"auth.user:{ada.pk}"


def test_the_runs_of_an_object_are_found_with_what_they_asked_for(greet: Any, count: Any, ada: User) -> None:
    first = greet.enqueue(ada.pk)
    greet.enqueue(ada.pk + 1)
    child = a_run(name="tests.child", parent=first.id)
    grandchild = a_run(name="tests.grandchild", parent=child.pk)
    a_run(name="tests.deeper", parent=grandchild.pk)
    found = jobs_for(ada)
    assert {run.id for run in found} == {first.id, child.pk, grandchild.pk}
    assert not found.has_more
    assert found.latest_by_job()["greet"].words == "waiting"


def test_several_objects_are_asked_for_at_once(greet: Any, ada: User) -> None:
    eve = User.objects.create(username="eve")
    greet.enqueue(ada.pk)
    greet.enqueue(eve.pk)
    assert len(jobs_for(ada, eve)) == 2
    assert len(jobs_for()) == 0


def test_an_object_with_many_runs_costs_three_queries(
    greet: Any, ada: User, django_assert_max_num_queries: Any
) -> None:
    with transaction.atomic():
        runs = greet.enqueue_many([(ada.pk,)] * 120)
    with django_assert_max_num_queries(3):
        found = jobs_for(ada, most=50)
    assert [run.id for run in found] == [run.id for run in runs[-50:]]
    assert found.has_more


def test_what_is_no_stored_object_is_refused(count: Any) -> None:
    for subject in (User(), User, 17):
        with pytest.raises(BadOptions, match="no stored object"):
            jobs_for(subject)
        with pytest.raises(BadOptions, match="no stored object"):
            count.using(subject=subject)


def test_a_subject_that_is_no_model_is_an_error(greet: Any) -> None:
    @job(name="tests.wrong", subject={"user_id": "auth.Usr"})
    def wrong(user_id: int) -> None: ...

    [found] = [each for each in jobs_checks.check_settings() if each.id == "jobs.E013"]
    assert isinstance(found, checks.Error)
    assert "tests.wrong" in found.msg
    assert "auth.user" in str(found.hint)

"""A deployment is looked over, and each finding says what, why and how to mend it."""

from __future__ import annotations

import io
import json
import time
from collections import namedtuple
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings

from jobs.broker import inspect
from jobs.health import doctor
from jobs.models import RoleGrant, RunState
from tests.admin.rows import a_run

pytestmark = pytest.mark.django_db

# What a test's surroundings lack on purpose.
AS_ALWAYS = {"jobs.W007", "no_worker", "sqlite", "conn_max_age", "connect_timeout", "jobs.W004"}


def found() -> dict[str, doctor.Finding]:
    return {one.id: one for one in doctor.examine() if one.id not in AS_ALWAYS}


def refuse(*arguments: Any) -> None:
    raise OperationalError("away")


def test_a_deployment_that_is_as_it_should_be_has_no_finding() -> None:
    assert found() == {}


def test_each_finding_says_what_why_and_how(settings: Settings) -> None:
    settings.DEBUG = True
    for one in doctor.examine():
        assert all((one.id, one.what, one.why, one.cure)), one
        assert one.level in ("error", "warning")


def test_errors_stand_first() -> None:
    levels = [one.level for one in doctor.examine()]
    assert levels == sorted(levels)
    assert "error" in levels


def test_clocks_that_differ_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "clock", lambda: time.time() - 90)
    assert "-90" in found()["clock"].what


def test_permissions_that_are_missing_are_found() -> None:
    Permission.objects.filter(codename="discard_job").delete()
    assert "discard_job" in found()["permissions"].what


def test_roles_that_were_never_made_are_found() -> None:
    Group.objects.all().delete()
    RoleGrant.objects.all().delete()
    assert "roles" in found()


def test_runs_of_jobs_that_the_code_does_not_know_are_found() -> None:
    a_run(RunState.QUEUED, name="shop.gone_job")
    assert "shop.gone_job" in found()["unknown_jobs"].what


def test_a_run_that_is_in_no_place_is_found() -> None:
    from datetime import timedelta

    a_run(RunState.QUEUED, name="tests.sample.add", age=timedelta(minutes=5))
    assert "jobs_ledger" in found()["ledger"].cure


def test_a_pool_that_forks_would_share_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {"pool": True}}
    monkeypatch.setitem(settings.DATABASES, "default", given)
    ids = {one.id for one in doctor.examine()}
    assert {"jobs.W003", "conn_max_age", "connect_timeout"} <= ids


def test_a_disk_that_is_almost_full_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 9, 1))
    assert "disk" in found()


def test_a_database_that_is_away_is_a_finding_and_no_traceback() -> None:
    with connection.execute_wrapper(refuse):
        assert "database" in {one.id for one in doctor.examine()}


def test_a_redis_that_is_away_is_a_finding_and_no_traceback(settings: Settings) -> None:
    settings.RQ_QUEUES = {name: {**one, "URL": "redis://127.0.0.1:1/0"} for name, one in settings.RQ_QUEUES.items()}
    assert "jobs.W006" in found()


def test_the_command_tells_programs_the_same_and_ends_with_1() -> None:
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("jobs_doctor", "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert ended.value.code == 1
    assert said["ok"] is False
    assert set(said["findings"][0]) == {"id", "level", "what", "why", "cure"}


def test_people_read_the_cure() -> None:
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("jobs_doctor", stdout=out)
    assert "ERROR no_worker: No worker is alive." in out.getvalue()
    assert "  cure: Start manage.py rqworker" in out.getvalue()

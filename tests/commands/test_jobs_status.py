"""How everything stands, for people and programs, also while the database or Redis is away."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from pytest_django.fixtures import Settings

from jobs import queues
from jobs.health import status
from jobs.models import RunState
from tests.admin.rows import a_run
from tests.docs.pages import ROOT, table

pytestmark = pytest.mark.django_db


def shown(*options: str) -> str:
    out = io.StringIO()
    call_command("jobs_status", *options, stdout=out)
    return out.getvalue()


def told(*options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown("--json", *options))
    return found


def refuse(*arguments: Any) -> None:
    raise OperationalError("connection to server at 10.0.0.5 failed: secret")


@pytest.fixture
def no_redis(settings: Settings) -> None:
    settings.RQ_QUEUES = {name: {**one, "URL": "redis://127.0.0.1:1/0"} for name, one in settings.RQ_QUEUES.items()}


def test_people_see_queues_workers_and_what_is_wrong() -> None:
    a_run(RunState.DEAD)
    said = shown()
    assert "!! No worker is alive." in said
    assert re.search(r"^default +0 +- +0", said, re.MULTILINE)
    assert "1 dead" in said
    assert "recorder: 0 waiting" in said


def test_programs_are_told_the_keys_that_the_guide_names() -> None:
    seen = told()
    rows = table(ROOT / "docs" / "operations.md", first_header="key of the status")
    assert set(seen) == {name for cells in rows for name in re.findall("`([a-z_]+)`", cells[0])}
    assert seen["database"] is seen["redis"] is True
    assert [problem["id"] for problem in seen["problems"]] == ["no_worker"]
    assert tuple(sorted(seen["queues"][0])) == tuple(sorted(status.QUEUE_KEYS))
    assert set(queues.as_json()["queues"][0]) == set(status.QUEUE_KEYS)


def test_a_check_ends_with_1_when_something_is_wrong() -> None:
    with pytest.raises(SystemExit) as ended:
        shown("--check")
    assert ended.value.code == 1


def test_without_redis_what_only_it_knows_is_unknown_and_never_0(no_redis: None) -> None:
    a_run(RunState.DEAD)
    seen = told()
    assert (seen["redis"], seen["database"]) == (False, True)
    assert seen["workers"] is seen["recorder"] is seen["circuits"] is None
    assert {queue["depth"] for queue in seen["queues"]} == {None}
    assert seen["runs"]["dead"] == 1
    assert "Redis or Valkey does not answer." in shown()


def test_without_the_database_what_redis_knows_is_told() -> None:
    with connection.execute_wrapper(refuse):
        seen, said = told(), shown()
    assert (seen["redis"], seen["database"], seen["migrations"]) == (True, False, None)
    assert seen["runs"] is seen["not_pushed"] is seen["incidents"] is seen["paused"] is None
    assert {queue["depth"] for queue in seen["queues"]} == {0}
    assert "The database does not answer." in said
    assert "secret" not in said + json.dumps(seen)


def test_a_hosts_own_probe_asks_for_a_worker_of_that_host(no_redis: None) -> None:
    # Nobody knows: to start the container again would not bring Redis back.
    assert "unknown" in shown("--check", "--here")


def test_a_host_without_a_worker_fails_its_probe() -> None:
    with pytest.raises(SystemExit):
        shown("--check", "--here")


@pytest.mark.parametrize("options", [["--watch", "1", "--json"], ["--here"], ["--watch", "0"]])
def test_what_makes_no_sense_is_refused_with_2(options: list[str]) -> None:
    with pytest.raises(CommandError) as refused:
        shown(*options)
    assert refused.value.returncode in (1, 2)


def test_one_may_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice:
        """Stops a watch after the second look."""

        looks = 0

        def __enter__(self) -> Twice:
            return self

        def __exit__(self, *raised: object) -> None:
            pass

        def wait(self, seconds: float) -> bool:
            self.looks += 1
            return self.looks == 2

    monkeypatch.setattr("jobs.management.commands.jobs_status.asked_to_stop", Twice)
    assert shown("--watch").count("recorder:") == 2

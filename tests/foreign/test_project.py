"""A project that uses django-rq runs unchanged on Jobsite: only its settings are others."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.broker.connection import client
from tests.foreign.project import AFTER, BEFORE, Project, kill_family, project_in
from tests.scenarios.workers import children_of, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parcels") / "tables.sqlite3"


@pytest.fixture
def project(tmp_path: Path, broker_url: str, tables: Path) -> Iterator[Project]:
    with project_in(tmp_path, broker_url, tables=tables) as one:
        yield one


def run_everything(project: Project, *, enqueued_by: str, worked_by: str) -> tuple[dict[str, Any], list[Any]]:
    """What became of one job of each kind, by name, and what they did."""
    ids: dict[str, str] = project.parcels(enqueued_by, "everything")
    over = {b"finished", b"failed", b"canceled"}
    waiting = [one for name, one in ids.items() if name != "never"]
    project.work_until(
        worked_by,
        lambda: (
            all(client().hget(f"rq:job:{one}", "status") in over for one in waiting) and len(project.events()) >= 18
        ),
        what="every job to end",
    )
    told = project.parcels(worked_by, "look", *ids.values())
    outcomes = {name: told[one] for name, one in ids.items()}
    # In a thread the time limit has another name; see the guide.
    outcomes["slow"]["error"] = (
        outcomes["slow"]["error"].rpartition(".")[2].replace("JobTimedOut", "JobTimeoutException")
    )
    events = project.events()
    return outcomes, events


def unfinished(outcomes: dict[str, Any]) -> set[str]:
    return {name for name, one in outcomes.items() if one["status"] != "finished"}


def test_every_kind_of_job_ends_as_it_did_on_stock_django_rq(
    project: Project, tmp_path: Path, broker_url: str, tables: Path
) -> None:
    before = run_everything(project, enqueued_by=BEFORE, worked_by=BEFORE)
    client().flushall()
    (tmp_path / "after").mkdir()
    with project_in(tmp_path / "after", broker_url, tables=tables) as again:
        after = run_everything(again, enqueued_by=AFTER, worked_by=AFTER)
        assert again.states() == {"succeeded": 19, "dead": 2}
    assert after[0] == before[0]
    assert after[1] == before[1]
    assert before[0]["retried"]["result"] == "delivered"
    assert before[0]["model"]["result"] == "2026-05-01 00:00:00+00:00"


def test_jobs_that_waited_when_it_switched_are_worked_off(project: Project) -> None:
    outcomes, _ = run_everything(project, enqueued_by=BEFORE, worked_by=AFTER)
    assert unfinished(outcomes) == {"cancelled", "failing", "never", "slow"}
    assert project.states() == {"succeeded": 19, "dead": 2}


def test_jobs_that_wait_when_it_switches_back_are_worked_off(project: Project) -> None:
    outcomes, _ = run_everything(project, enqueued_by=AFTER, worked_by=BEFORE)
    assert unfinished(outcomes) == {"cancelled", "failing", "never", "slow"}


def test_a_lost_host_loses_no_job_and_burns_no_attempt(project: Project) -> None:
    job_id = project.parcels(BEFORE, "one", "carry", "P-1", "3")
    worker = project.start_worker(AFTER)
    wait_until(lambda: ("P-1", "carrying") in project.events(), seconds=40, what="the job to start")
    kill_family(worker)
    project.work_until(AFTER, lambda: project.states() == {"succeeded": 1}, what="the job to run again")
    assert project.events().count(("P-1", "carrying")) >= 2
    assert project.parcels(AFTER, "look", job_id)[job_id]["result"] == "carried"


def test_a_stop_hands_the_job_back(project: Project) -> None:
    project.parcels(BEFORE, "one", "carry", "P-1", "4")
    worker = project.start_worker(AFTER, "--shutdown-timeout", "0.5")
    wait_until(lambda: ("P-1", "carrying") in project.events(), seconds=40, what="the job to start")
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=30)
    assert project.states() == {"queued": 1}
    project.work_until(AFTER, lambda: project.states() == {"succeeded": 1}, what="the job to run again")


def test_a_job_that_kills_its_process_runs_again(project: Project, tmp_path: Path) -> None:
    project.parcels(BEFORE, "one", "collapse", "P-1", str(tmp_path / "mark"))
    project.work_until(AFTER, lambda: project.states() == {"succeeded": 1}, what="the job to run again")
    assert project.events() == [("P-1", "lifted")] * 2


def test_a_dead_job_is_retried_by_command(project: Project, tmp_path: Path) -> None:
    door = tmp_path / "door"
    job_id = project.parcels(BEFORE, "one", "wait_for_door", "P-1", str(door))
    project.work_until(AFTER, lambda: project.states() == {"dead": 1}, what="the job to fail")
    door.touch()
    project.manage(AFTER, "requeue_dead", "--no-input")
    project.work_until(AFTER, lambda: project.states() == {"succeeded": 1}, what="the job to succeed")
    assert project.parcels(AFTER, "look", job_id)[job_id]["result"] == "opened"


@pytest.mark.parametrize(
    ("closed", "says"), [({"PARCELS_ALLOWED": ""}, "FOREIGN_JOBS"), ({"PARCELS_PICKLE": "0"}, "FOREIGN_PICKLE")]
)
def test_what_is_not_allowed_waits_among_the_dead(project: Project, closed: dict[str, str], says: str) -> None:
    project.parcels(BEFORE, "one", "register", "P-1")
    project.work_until(AFTER, lambda: project.states() == {"dead": 1}, what="the job to be refused", **closed)
    assert project.events() == []
    ((message,),) = project.rows("jobs_deadjob", "error_message")
    assert says in message
    project.manage(AFTER, "requeue_dead", "--no-input")
    project.work_until(AFTER, lambda: project.states() == {"succeeded": 1}, what="the job to succeed")
    assert project.events() == [("P-1", "registered")]


def test_a_child_that_is_killed_has_its_jobs_taken_back_at_once(project: Project) -> None:
    project.parcels(BEFORE, "one", "carry", "P-1", "2")
    worker = project.start_worker(AFTER)
    wait_until(lambda: ("P-1", "carrying") in project.events(), seconds=40, what="the job to start")
    for pid in children_of(worker.pid):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: project.states() == {"succeeded": 1}, seconds=40, what="the job to run again")
    project.stop(worker)

"""Nothing of plain RQ is run, imported or unpickled that the settings do not allow; it waits among the dead."""

from __future__ import annotations

import pickle
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from rq import Callback, Queue

from jobs import dead
from jobs.broker.connection import client
from jobs.broker.unpickling import TrustedPickle
from jobs.errors import BadArguments
from jobs.models import DeadJob, JobRun
from jobs.policy.foreign import allows
from tests.engine import work_off
from tests.foreign import tasks
from tests.foreign.conftest import TASKS

pytestmark = pytest.mark.django_db(transaction=True)
Change = Callable[..., Any]


def test_a_module_that_is_not_allowed_is_named_with_the_setting(queue: Queue, called: list[Any]) -> None:
    queue.enqueue(tasks.add, 1, 2)
    work_off()
    burial = DeadJob.objects.get()
    assert (called, burial.reason, burial.name) == ([], "unknown_job", "tests.foreign.tasks.add")
    assert f'Add "{TASKS}" to JOBS["FOREIGN_JOBS"]' in burial.error_message


def test_it_runs_when_it_is_allowed_and_requeued(queue: Queue, jobs_settings: Change, called: list[Any]) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2)
    work_off()
    jobs_settings(FOREIGN_JOBS=[TASKS], FOREIGN_PICKLE=True)
    dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    assert rq_job.return_value() == 3
    assert JobRun.objects.get().state == "succeeded"


def test_a_pickle_is_refused_with_the_name_of_its_setting(
    pickling: Queue, jobs_settings: Change, called: list[Any]
) -> None:
    jobs_settings(FOREIGN_JOBS=[TASKS])
    rq_job = pickling.enqueue(tasks.add, 1, 2)
    work_off()
    burial = DeadJob.objects.get()
    assert (called, burial.reason, burial.name) == ([], "bad_arguments", "tests.foreign.tasks.add")
    assert 'JOBS["FOREIGN_PICKLE"] = True' in burial.error_message
    jobs_settings(FOREIGN_JOBS=[TASKS], FOREIGN_PICKLE=True)
    dead.requeue(burial, actor="ann")
    work_off()
    assert rq_job.return_value() == 3


def test_nothing_is_imported_that_is_not_allowed(queue: Queue, jobs_settings: Change) -> None:
    jobs_settings(FOREIGN_JOBS=[TASKS], FOREIGN_PICKLE=True)
    sys.modules.pop("this", None)
    queue.enqueue("this.s")
    work_off()
    assert "this" not in sys.modules
    assert DeadJob.objects.get().reason == "unknown_job"


@pytest.mark.parametrize("path", [f"{TASKS}.os.getcwd", f"{TASKS}.get_current_job", f"{TASKS}.asyncio.run"])
def test_what_an_allowed_module_only_imported_is_not_allowed(queue: Queue, allowed: None, path: str) -> None:
    queue.enqueue(path)
    work_off()
    assert DeadJob.objects.get().reason == "unknown_job"


def test_a_package_that_is_allowed_alone_allows_nothing_below_it(
    queue: Queue, pickling: Queue, jobs_settings: Change
) -> None:
    jobs_settings(FOREIGN_JOBS=["tests.foreign"], FOREIGN_PICKLE=True)
    queue.enqueue(tasks.add, 1, 2)
    pickling.enqueue(tasks.Report("May").build, 3)
    work_off()
    assert [burial.reason for burial in DeadJob.objects.order_by("pk")] == ["unknown_job", "bad_arguments"]


def test_a_method_of_a_model_needs_its_module(pickling: Queue, jobs_settings: Change) -> None:
    jobs_settings(FOREIGN_JOBS=["django.contrib"], FOREIGN_PICKLE=True)
    pickling.enqueue(get_user_model()(username="ann").get_username)
    work_off()
    assert DeadJob.objects.get().reason == "unknown_job"
    assert 'Add "django.contrib.auth' in DeadJob.objects.get().error_message


def test_a_function_that_is_not_there_yet_is_waited_for(queue: Queue, allowed: None) -> None:
    queue.enqueue(f"{TASKS}.not_deployed_yet")
    assert [one.where for one in work_off()] == ["later"]
    assert JobRun.objects.get().state == "scheduled"


def test_an_argument_that_runs_a_command_is_refused(pickling: Queue, allowed: None, tmp_path: Path) -> None:
    pickling.enqueue(tasks.add, tasks.Bomb(str(tmp_path / "proof")), 1)
    work_off()
    burial = DeadJob.objects.get()
    assert not (tmp_path / "proof").exists()
    assert burial.reason == "bad_arguments"
    assert "mkdir" in burial.error_message


@pytest.mark.parametrize("value", [eval, getattr, __import__, print, zlib.compress, pickle.loads])
def test_a_function_outside_the_allowed_modules_is_not_unpickled(value: Any, allowed: None) -> None:
    with pytest.raises(BadArguments, match="FOREIGN_JOBS"):
        TrustedPickle.loads(pickle.dumps(value))


def test_a_callback_that_is_not_allowed_is_not_called(queue: Queue, allowed: None, tmp_path: Path) -> None:
    queue.enqueue(tasks.add, 1, 2, on_success=Callback("os.mkdir"))
    work_off()
    assert "FOREIGN_JOBS" in DeadJob.objects.get().error_message


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"[", b'["a"]', zlib.compress(b"x"), b"\xff" * 99, zlib.compress(b"[1]")]
)
def test_a_message_that_cannot_be_read_is_dead_and_told(data: bytes, queue: Queue, allowed: None) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2)
    client().hset(rq_job.key, "data", data)
    work_off()
    assert JobRun.objects.get().state == "dead"


def test_a_message_that_grows_beyond_measure_is_not_unpacked(queue: Queue, allowed: None) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2)
    client().hset(rq_job.key, "data", zlib.compress(b"[" * (65 * 2**20)))
    work_off()
    assert "bytes" in DeadJob.objects.get().error_message


DAMAGES = [
    ("timeout", "soon"),
    ("retries_left", "-5"),
    ("retry_intervals", "{}"),
    ("meta", b"\x80\xff"),
    ("created_at", "x"),
]


@pytest.mark.parametrize(("field", "value"), DAMAGES)
def test_a_damaged_field_keeps_no_run_from_its_end(queue: Queue, allowed: None, field: str, value: Any) -> None:
    rq_job = queue.enqueue(tasks.add, 1, 2)
    client().hset(rq_job.key, field, value)
    work_off()
    assert JobRun.objects.get().state in ("dead", "succeeded")


@pytest.mark.parametrize(
    ("allowed_ones", "module", "is_allowed"),
    [
        ([], "shop", False),
        (["shop"], "shop", True),
        (["shop"], "shop.tasks", False),
        (["shop.*"], "shop.tasks.mail", True),
        (["shop.*"], "shopping", False),
        (["*"], "shop", False),
    ],
)
def test_what_an_entry_allows(allowed_ones: list[str], module: str, is_allowed: bool) -> None:
    assert allows(allowed_ones, module) is is_allowed

"""What `rqworker` refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--processes", ("0", "-1")),
        ("--concurrency", ("0", "-1")),
        ("--max-jobs", ("0", "-1")),
        ("--max-jobs-per-child", ("0", "-1")),
        ("--max-memory", ("0", "-1")),
        ("--max-idle-time", ("-1",)),
        ("--shutdown-timeout", ("nan", "-1", "inf")),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_the_name_of_its_option(option: str, values: tuple[str, ...]) -> None:
    for value in values:
        with pytest.raises(CommandError, match=option):
            call_command("rqworker", f"{option}={value}")


@pytest.mark.parametrize(
    "words",
    [
        ("critical=6", "low"),
        ("critical", "low=1"),
        ("critical=6", "critical=1"),
        ("critical=0", "low=1"),
        ("critical=-1", "low=1"),
        ("critical=1.5", "low=1"),
        ("critical=", "low=1"),
        ("critical=9999999", "low=1"),
    ],
)
def test_weights_that_cannot_be_are_refused_with_an_example(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="critical=6 default=3 low=1"):
        call_command("rqworker", *words)


def test_a_weighted_queue_that_is_unknown_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CommandError, match=r'no queue "critcal"\. Did you mean "critical"'):
        call_command("rqworker", "critcal=2", "low=1")


def test_a_limit_on_memory_that_every_process_passes_at_once_is_refused() -> None:
    with pytest.raises(CommandError, match=r"--max-memory must be above the \d+ MB"):
        call_command("rqworker", "--max-memory=1")


def test_ending_after_so_many_jobs_does_not_go_with_replacing(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    for option in ("--max-memory=100000", "--max-jobs-per-child=5"):
        with pytest.raises(CommandError, match="leave one out"):
            call_command("rqworker", "--max-jobs=10", option, pid=str(pid_file))
    assert not pid_file.exists(), "a worker that does not start has no process to signal"

"""`requeue_dead` and `discard_dead`: the same verbs as the console, from a terminal or a script."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs import dead, job
from jobs.management import resolving
from jobs.management.commands.requeue_dead import Command as RequeueDead
from jobs.models import AuditEntry, DeadJob, JobRun, RunState
from jobs.signals import job_requeued
from tests.admin.rows import a_dead_job

pytestmark = pytest.mark.django_db


@job(name="tests.commands.fail_often")
def fail_often(order_id: int) -> None:
    """A job whose runs die."""


def run(*arguments: str) -> tuple[str, int]:
    """What a command prints, and its exit status."""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=io.StringIO())
    except SystemExit as exit:
        return out.getvalue(), int(str(exit.code))
    return out.getvalue(), 0


def summary(*arguments: str) -> dict[str, Any]:
    printed, _status = run(*arguments, "--json")
    return json.loads(printed)


def states() -> dict[str, str]:
    return dict(JobRun.objects.values_list("name", "state"))


def test_it_requeues_what_matches_and_says_so() -> None:
    a_dead_job(name="tests.a")
    a_dead_job(name="tests.b")
    printed, status = run("requeue_dead", "--job", "tests.a", "--no-input", "--reason", "it is back")
    assert "1 dead job requeued." in printed
    assert status == 0
    assert states() == {"tests.a": RunState.QUEUED, "tests.b": RunState.DEAD}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason, entry.count) == ("requeue", "it is back", 1)
    assert entry.actor.startswith("requeue_dead")
    assert entry.filter == {"name": "tests.a"}


@pytest.mark.parametrize(
    "options", [("--queue", "critical"), ("--error", "NoStock"), ("--error", "says no"), ("--older-than", "2h")]
)
def test_each_option_narrows(options: tuple[str, str]) -> None:
    a_dead_job(name="tests.other")
    wanted = a_dead_job(died=timedelta(hours=3), name="tests.wanted", queue="critical")
    DeadJob.objects.filter(pk=wanted.pk).update(error_class="shop.NoStock", error_message="the warehouse says no")
    run("requeue_dead", *options, "--no-input")
    assert states() == {"tests.other": RunState.DEAD, "tests.wanted": RunState.QUEUED}


def test_nothing_to_do_is_no_failure() -> None:
    assert run("requeue_dead", "--no-input") == ("No dead job matches.\n0 dead jobs requeued.\n", 0)


def test_the_oldest_come_first_up_to_the_limit_and_the_rest_is_told() -> None:
    for name in "abc":
        a_dead_job(name=f"tests.{name}")
    printed, status = run("requeue_dead", "--limit", "2", "--no-input")
    assert "2 dead jobs requeued." in printed
    assert "1 dead job left alone: beyond the limit of 2." in printed
    assert status == 1
    assert states() == {"tests.a": RunState.QUEUED, "tests.b": RunState.QUEUED, "tests.c": RunState.DEAD}


def test_the_setting_limits_too(jobs_settings: Callable[..., object]) -> None:
    jobs_settings(BULK_LIMIT=1)
    a_dead_job(name="tests.a")
    a_dead_job(name="tests.b")
    assert summary("requeue_dead", "--no-input")["left_alone"] == {"beyond the limit of 1": 1}


def test_what_cannot_be_requeued_is_left_alone_with_its_reason() -> None:
    a_dead_job(name="tests.a")
    a_dead_job(name="tests.b", queue="removed")
    printed, status = run("requeue_dead", "--no-input")
    assert 'left alone: its queue "removed" is not in RQ_QUEUES.' in printed
    assert status == 1


# The dry run.


@pytest.mark.parametrize("command", ["requeue_dead", "discard_dead"])
@pytest.mark.parametrize("options", [(), ("--limit", "3"), ("--queue", "default"), ("--error", "503")])
def test_the_dry_run_and_the_real_thing_agree(
    command: str, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Equal runs of a unique job meet across the edges of chunks too.
    monkeypatch.setattr(resolving, "CHUNK", 2)
    for number in range(5):
        a_dead_job(unique_key="same" if number % 2 else None)
    a_dead_job(queue="removed")
    told = summary(command, *options, "--dry-run")
    done = summary(command, *options, "--no-input", "--reason", "x")
    assert told.pop("dry_run") is True
    assert done.pop("dry_run") is False
    assert told == done
    assert told["done"]


def test_the_dry_run_changes_nothing_and_tells_nobody(django_capture_on_commit_callbacks: Callable[..., Any]) -> None:
    a_dead_job()
    before = list(JobRun.objects.values()) + list(DeadJob.objects.values())
    heard: list[object] = []
    job_requeued.connect(receiver := lambda **words: heard.append(words), weak=False)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        printed, status = run("requeue_dead", "--dry-run")
    job_requeued.disconnect(receiver)
    assert "1 dead job would be requeued." in printed
    assert status == 0
    assert list(JobRun.objects.values()) + list(DeadJob.objects.values()) == before
    assert not AuditEntry.objects.exists()
    assert not callbacks
    assert not heard


# Asking.


@pytest.mark.parametrize(("answer", "state"), [("y", RunState.QUEUED), ("n", RunState.DEAD), ("", RunState.DEAD)])
def test_it_asks_first(answer: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    a_dead_job(name="tests.a")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    run("requeue_dead")
    assert states() == {"tests.a": state}


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["requeue_dead"], "add --no-input"),
        (["requeue_dead", "--json"], "add --no-input"),
        (["requeue_dead", "--queue", "critcal", "--no-input"], 'Did you mean "critical"?'),
        (["requeue_dead", "--job", "tests.chrge", "--no-input"], 'Did you mean "tests.charge"?'),
        (["requeue_dead", "--older-than", "3 days", "--no-input"], "such as 3d or 12h"),
        (["requeue_dead", "--limit", "0", "--no-input"], "whole number from 1"),
        (["discard_dead", "--no-input"], "--reason"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_its_cure(arguments: list[str], cure: str) -> None:
    a_dead_job()
    with pytest.raises(CommandError, match=cure) as refused:
        run(*arguments)
    assert refused.value.returncode in (1, 2)
    assert set(states().values()) == {RunState.DEAD}


def test_a_jobs_bare_name_will_do() -> None:
    a_dead_job(name=fail_often.name)
    assert summary("requeue_dead", "--job", "fail_often", "--no-input")["done"] == 1


def test_dead_jobs_of_a_job_and_queue_that_are_gone_can_be_discarded() -> None:
    a_dead_job(name="shop.removed", queue="removed")
    options = ("--job", "shop.removed", "--queue", "removed", "--reason", "the feature is gone", "--no-input")
    assert summary("discard_dead", *options)["done"] == 1
    assert states() == {"shop.removed": RunState.DISCARDED}
    assert DeadJob.objects.get().note == "the feature is gone"


# Long work.


def test_long_work_shows_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "CHUNK", 2)
    for _number in range(5):
        a_dead_job()
    progress = io.StringIO()
    call_command("requeue_dead", "--no-input", stdout=io.StringIO(), stderr=progress)
    assert progress.getvalue().splitlines() == ["2 looked at, 2 requeued", "4 looked at, 4 requeued"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_chunk_in_hand(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "CHUNK", 2)
    for _number in range(5):
        a_dead_job()

    def requeue_and_stop(*arguments: Any, **words: Any) -> dead.Tally:
        os.kill(os.getpid(), number)
        return dead.requeue_all(*arguments, **words)

    monkeypatch.setattr(RequeueDead, "verb", requeue_and_stop)
    printed, status = run("requeue_dead", "--no-input")
    assert "2 dead jobs requeued." in printed
    assert "3 dead jobs left alone: not come to, for it was stopped." in printed
    assert status == 1
    assert JobRun.objects.filter(state=RunState.QUEUED).count() == 2

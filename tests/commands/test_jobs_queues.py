"""`jobs_pause`, `jobs_resume` and `jobs_queues`."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import conf
from jobs.broker import inspect
from jobs.errors import BrokerUnavailable
from jobs.models import AuditEntry, QueuePause
from tests import engine
from tests.sample.jobs import add


@pytest.fixture(autouse=True)
def _database(transactional_db):
    pass


def run(*words):
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


def test_a_queue_is_paused_for_a_time_and_resumed():
    asked = add.enqueue(1, 2)
    assert "default is paused until" in run("jobs_pause", "default", "--until", "2h", "--reason", "ticket 4711")
    row = QueuePause.objects.get()
    assert timedelta(minutes=119) < row.until - timezone.now() <= timedelta(hours=2)
    assert engine.claim() == []
    assert run("jobs_resume", "default") == "default goes on.\n"
    assert [claim.run_id for claim in engine.claim()] == [str(asked.id)]
    entries = AuditEntry.objects.order_by("pk").values_list("action", "reason")
    assert list(entries) == [("pause_queue", "ticket 4711"), ("resume_queue", "")]


def test_an_end_may_be_a_time_of_the_day():
    run("jobs_pause", "low", "--until", "2999-05-03T08:00", "--reason", "x")
    assert timezone.localtime(QueuePause.objects.get().until).hour == 8


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("jobs_pause", "default"), 2, "Say why"),
        (("jobs_pause", "defalt", "--reason", "x"), 2, 'mean "default"'),
        (("jobs_pause", "default", "--reason", "x", "--until", "2001-01-01T00:00"), 1, "is over"),
        (("jobs_resume", "default"), 1, "not paused"),
    ],
)
def test_what_cannot_be_is_refused_with_a_status(words, status, said):
    with pytest.raises(CommandError, match=said) as refused:
        run(*words)
    assert refused.value.returncode == status
    assert not QueuePause.objects.exists()


def test_a_length_that_is_none_is_refused():
    with pytest.raises(CommandError, match="no age"):
        run("jobs_pause", "default", "--reason", "x", "--until", "soon")


def test_the_queues_are_told_to_people_and_to_machines():
    add.enqueue(1, 2)
    run("jobs_pause", "low", "--reason", "ticket 4711")
    told = json.loads(run("jobs_queues", "--json"))
    by_name = {one["queue"]: one for one in told["queues"]}
    assert by_name["default"]["depth"] == 1
    assert by_name["low"]["paused"] is True
    shown = run("jobs_queues")
    assert all(name in shown for name in conf.queue_names())
    assert "paused by jobs_pause" in shown
    assert "no live worker" in shown
    assert "0:00:00" not in next(line for line in shown.splitlines() if line.startswith("low"))


def test_without_redis_the_numbers_are_unknown(monkeypatch):
    def away(*_):
        raise BrokerUnavailable("away")

    monkeypatch.setattr(inspect, "queues_now", away)
    assert "Redis does not answer" in run("jobs_queues")
    assert json.loads(run("jobs_queues", "--json"))["redis"] is False

"""What a supervisor tells of a server that goes away and comes back."""

from __future__ import annotations

import pytest

from jobs.errors import BrokerUnavailable
from jobs.worker import supervisor
from jobs.worker.options import WorkerOptions


def test_an_outage_is_told_once_and_so_is_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(live: list[str], queues: list[str], beat: object) -> None:
        raise BrokerUnavailable("it does not answer")

    monkeypatch.setattr(supervisor, "_TICK_SECONDS", 0.0)
    monkeypatch.setattr(supervisor.housekeeping, "tell_of_server", lambda: None)
    watched = supervisor.Supervisor(WorkerOptions(name="tester", queues=("default",)))
    with monkeypatch.context() as away:
        away.setattr(supervisor, "tick_and_beat", fail)
        watched._tick()
        watched._tick()
    watched._tick()
    watched._tick()
    assert caplog.messages == ["it does not answer", "Redis or Valkey answers again"]

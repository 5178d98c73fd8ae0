"""What happened is recorded, whatever else fails."""

from __future__ import annotations

import pytest
from django.db import connection

from jobs.broker import journal
from jobs.errors import BrokerUnavailable
from jobs.recorder import successes
from jobs.worker import recording
from jobs.worker.recording import Recording
from tests.engine import attempt_next
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("error", [BrokerUnavailable("no"), RuntimeError("no")])
def test_a_relay_that_fails_does_not_delay_what_is_recorded(error, monkeypatch, caplog):
    def fail():
        raise error

    monkeypatch.setattr(recording, "relay", fail)
    process = Recording()
    for _ in range(2):
        run = sample.add.enqueue(1, 2)
        attempt_next()
        process.turn()
        assert run.state == "succeeded"
    assert "not pushed for now: no" in caplog.text
    assert "not recorded" not in caplog.text


def test_what_fails_again_and_again_is_passed_by_and_the_rest_is_recorded(monkeypatch, caplog):
    hurt, fine = sample.add.enqueue_many([(1, 2), (3, 4)])
    for _ in range(2):
        attempt_next()
    read = successes._end

    def fail(entry):
        if entry.data["run"] == str(hurt.id):
            raise SystemError("no")
        return read(entry)

    monkeypatch.setattr(successes, "_end", fail)
    process = Recording()
    for _ in range(4):
        process.turn()
    assert fine.state == "succeeded"
    assert hurt.state == "queued"
    assert journal.length() == 0
    assert "what follows 0-0 in the journal cannot be recorded" in caplog.text


def test_the_connection_stays_from_one_transaction_to_the_next():
    process = Recording()
    process.turn()
    run = sample.add.enqueue(1, 2)
    attempt_next()
    connection.ensure_connection()
    before = connection.connection
    process.turn()
    assert run.state == "succeeded"
    assert connection.connection is before is not None

"""The journal tells how far it is behind, and is trimmed only when everything else is done."""

from __future__ import annotations

import json

import pytest

from jobs.broker import journal, keys
from jobs.broker.connection import client
from jobs.broker.inspect import JournalNow, journal_now
from jobs.errors import BrokerUnavailable


def write(*, seconds_ago: float) -> str:
    """One entry, so old by the server's clock."""
    seconds, microseconds = client().time()
    at_ms = int((seconds + microseconds / 1e6 - seconds_ago) * 1000)
    return str(client().xadd(keys.JOURNAL, {"e": '{"entry":"wake"}'}, id=f"{at_ms}-0").decode())


def finished(run_id: str, life: int = 0) -> None:
    client().hset(keys.job(run_id), mapping={"life": life, "status": "finished", "data": "much"})


def test_an_empty_journal_is_not_behind():
    assert journal_now() == JournalNow(0, 0.0)


def test_the_journal_is_as_far_behind_as_its_first_entry_is_old():
    write(seconds_ago=100)
    last = write(seconds_ago=10)
    now = journal_now()
    assert now.length == 2
    assert 100 <= now.lag_seconds < 105
    journal.forget(last, [])
    assert journal_now() == JournalNow(0, 0.0)


def test_an_entry_of_a_servers_clock_that_went_back_is_no_lag():
    write(seconds_ago=-100)
    assert journal_now() == JournalNow(1, 0.0)


def test_a_journal_whose_key_is_something_else_cannot_be_read():
    client().set(keys.JOURNAL, "x")
    with pytest.raises(BrokerUnavailable):
        journal_now()


def test_many_runs_are_forgotten_and_the_journal_is_trimmed_last(monkeypatch):
    monkeypatch.setattr(journal, "_FORGOTTEN_AT_ONCE", 2)
    runs = [(f"run-{number}", 0) for number in range(5)]
    for run_id, life in runs:
        finished(run_id, life)
    position = write(seconds_ago=1)
    calls: list[tuple[str, int]] = []
    run = journal.lua.run

    def counted(name, arguments):
        answer = run(name, arguments)
        calls.append((name, journal_now().length))
        return answer

    monkeypatch.setattr(journal.lua, "run", counted)
    journal.forget(position, runs)
    assert calls == [("forget", 1), ("forget", 1), ("forget", 0)]
    assert all(client().hgetall(keys.job(run_id)) == {b"life": b"0", b"status": b"finished"} for run_id, _ in runs)
    assert all(0 < client().ttl(keys.job(run_id)) <= 60 for run_id, _ in runs)


def test_what_is_not_the_ended_run_is_not_forgotten():
    finished("later", 1)
    client().hset(keys.job("again"), mapping={"life": 0, "status": "queued"})
    client().set(keys.job("taken"), "x")
    journal.forget("0-0", [("later", 0), ("again", 0), ("taken", 0), ("gone", 0)])
    assert client().hget(keys.job("later"), "data") == b"much"
    assert client().hget(keys.job("again"), "status") == b"queued"
    assert client().get(keys.job("taken")) == b"x"
    assert not client().exists(keys.job("gone"))


def test_entries_that_were_written_together_share_their_position_and_time():
    told = [{"entry": "settled", "run": "a"}, {"entry": "settled", "run": "b"}, "no entry"]
    position = client().xadd(keys.JOURNAL, {"at": 1795313931123, "e": json.dumps(told)}).decode()
    read = journal.read(journal.FIRST, most=10)
    assert [(entry.position, entry.at_ms) for entry in read] == [(position, 1795313931123)] * 3
    assert [entry.data for entry in read] == [told[0], told[1], None]

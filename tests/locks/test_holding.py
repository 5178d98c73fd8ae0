# ruff: noqa: PT012 - what happens in a block is what is tested here.
"""One at a time, released by its owner alone, renewed while held, and its loss noticed."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jobs import LockHeld, LockLost, PutOffJob, locks, recorder, renewals
from jobs.broker import locks as server
from jobs.broker.connection import client
from jobs.broker.locks import Holder, Taken
from jobs.errors import BadOptions, BrokerUnavailable, JobsError
from jobs.locks import holding, lock
from tests.at_once import at_once
from tests.engine import attempt_next


def wait_until(holds: Callable[[], Any], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.005)


def held_by_another(name: str, *, token: str = "another", ttl: float = 30) -> None:
    assert isinstance(server.acquire(name, token=token, life_seconds=ttl, holder=Holder("elsewhere", 7)), Taken)


def token_of(name: str) -> str | None:
    found = client().hget(f"jobs:lock:{name}", "token")
    return found.decode() if found else None


def test_it_is_held_in_the_block_and_free_after_it():
    with lock("order:42") as ours:
        assert token_of("order:42")
        assert not ours.lost
        ours.check()
        with pytest.raises(LockHeld), lock_of_another_thread("order:42"):
            pytest.fail("two hold it")
    assert token_of("order:42") is None
    with lock("order:42"):
        pass


class lock_of_another_thread:
    """Enter a lock in a context that holds nothing, and raise here what it raised there."""

    def __init__(self, name: str, **given: Any) -> None:
        self._name, self._given = name, given

    def __enter__(self) -> None:
        raised: list[BaseException] = []

        def enter() -> None:
            try:
                with lock(self._name, **self._given):
                    pass
            except BaseException as error:
                raised.append(error)

        other = threading.Thread(target=enter)
        other.start()
        other.join()
        if raised:
            raise raised[0]

    def __exit__(self, *error: object) -> None:
        pass


def test_an_error_in_the_block_frees_it_and_passes_on():
    with pytest.raises(ZeroDivisionError), lock("order:42"):
        raise ZeroDivisionError
    assert token_of("order:42") is None


def test_another_ones_lock_is_never_released():
    with pytest.raises(LockLost, match="order:42 was lost"), lock("order:42"):
        client().delete("jobs:lock:order:42")
        held_by_another("order:42")
    assert token_of("order:42") == "another"


def test_a_loss_does_not_hide_the_blocks_own_error(caplog):
    with pytest.raises(ZeroDivisionError), lock("order:42"):
        client().delete("jobs:lock:order:42")
        raise ZeroDivisionError
    assert "was lost" in caplog.text


def test_the_fence_grows_with_each_holder_also_when_the_server_forgets():
    fences = []
    for number in range(4):
        if number == 2:
            client().delete("jobs:fence")
        with lock("order:42") as ours:
            fences.append(ours.fence)
    assert all(earlier < later for earlier, later in pairwise(fences))


def test_the_fence_grows_also_where_the_clock_went_back():
    client().set("jobs:fence", 9 * 10**15)
    with lock("order:42") as ours:
        assert ours.fence == 9 * 10**15 + 1


@pytest.fixture
def quick_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "_RARELY_RENEWED_SECONDS", 0.02)
    monkeypatch.setattr(renewals, "_RETRY_SECONDS", 0.02)


@pytest.mark.usefixtures("quick_renewals")
def test_it_is_renewed_while_it_is_held():
    with lock("order:42", ttl=5) as ours:
        for _ in range(3):
            client().pexpire("jobs:lock:order:42", 1000)
            wait_until(lambda: client().pttl("jobs:lock:order:42") > 4000)
        assert not ours.lost


@pytest.mark.usefixtures("quick_renewals")
def test_one_thread_renews_all_and_ends_when_nothing_is_held(monkeypatch):
    monkeypatch.setattr(renewals, "_IDLE_SECONDS", 0.05)
    with lock("a"), lock("b"), lock("c"):
        for name in "abc":
            client().pexpire(f"jobs:lock:{name}", 5000)
        wait_until(lambda: all(client().pttl(f"jobs:lock:{name}") > 10_000 for name in "abc"))
        assert [one.name for one in threading.enumerate()].count("jobs-renewals") <= 1
    with renewals._renewals._changed:
        renewals._renewals._changed.notify()
    wait_until(lambda: renewals._renewals._thread is None)


@pytest.mark.usefixtures("quick_renewals")
def test_a_loss_is_noticed_in_the_block(caplog):
    with pytest.raises(LockLost), lock("order:42") as ours:
        client().delete("jobs:lock:order:42")
        wait_until(lambda: ours.lost)
        with pytest.raises(LockLost):
            ours.check()
    wait_until(lambda: "was lost" in caplog.text)
    assert caplog.text.count("The lock order:42 was lost") == 1


def test_a_check_asks_redis_and_does_not_wait_for_the_next_renewal(caplog):
    with pytest.raises(LockLost), lock("order:42", ttl=300) as ours:
        ours.check()
        client().delete("jobs:lock:order:42")
        assert not ours.lost
        with pytest.raises(LockLost):
            ours.check()
        assert ours.lost
        with lock_of_another_thread("order:42"):
            pass
    assert caplog.text.count("The lock order:42 was lost") == 1


def test_a_process_that_stood_still_for_longer_than_its_life_knows_it(monkeypatch):
    with pytest.raises(LockLost), lock("order:42", ttl=10) as ours:
        # As when the whole process stands still: neither it nor its renewals went on.
        monkeypatch.setattr(ours, "_until", time.monotonic() - 1)
        assert ours.lost
        client().delete("jobs:lock:order:42")
        held_by_another("order:42")
    assert token_of("order:42") == "another"


def test_what_stood_still_and_lost_nothing_goes_on(monkeypatch):
    with lock("order:42", ttl=10) as ours:
        monkeypatch.setattr(ours, "_until", time.monotonic() - 1)
        assert ours.lost
        ours.renewed([1], asked_at=time.monotonic())
        assert not ours.lost


def test_a_hold_that_a_struck_thread_left_is_renewed_no_longer():
    ours = lock("order:42")
    ours.__enter__()
    assert len(renewals._renewals._held) == 1
    holding._entered.set(())
    del ours
    gc.collect()
    assert len(renewals._renewals._held) == 0


@pytest.mark.usefixtures("quick_renewals")
def test_so_is_one_that_was_renewed_before():
    ours = lock("order:42")
    ours.__enter__()
    client().pexpire("jobs:lock:order:42", 1000)
    wait_until(lambda: client().pttl("jobs:lock:order:42") > 4000)
    holding._entered.set(())
    del ours
    wait_until(lambda: gc.collect() >= 0 and not len(renewals._renewals._held))


@pytest.mark.usefixtures("quick_renewals")
def test_a_log_that_raises_ends_no_renewal(monkeypatch):
    def fail(*words, **facts):
        raise ZeroDivisionError

    with lock("a", ttl=5), pytest.raises(ZeroDivisionError), lock("b") as lost:
        monkeypatch.setattr(holding.logger, "error", fail)
        client().delete("jobs:lock:b")
        wait_until(lambda: lost.lost)
        client().pexpire("jobs:lock:a", 1000)
        wait_until(lambda: client().pttl("jobs:lock:a") > 4000)
        raise KeyError


def test_outside_of_jobs_contention_raises_and_says_who_holds_it():
    held_by_another("order:42")
    with pytest.raises(LockHeld, match="held by elsewhere, process 7"), lock("order:42"):
        pass
    with pytest.raises(LockHeld), lock("order:42", held="skip"):
        pass


def test_who_waits_gets_it_when_it_comes_free():
    held_by_another("order:42")
    threading.Timer(0.1, lambda: server.release("order:42", token="another")).start()
    with lock("order:42", wait=20) as ours:
        assert token_of("order:42") == ours._token


def test_who_waits_gives_up_in_time():
    held_by_another("order:42")
    started = time.monotonic()
    with pytest.raises(LockHeld), lock("order:42", wait=0.1):
        pass
    assert 0.1 <= time.monotonic() - started < 5


def test_a_block_does_not_wait_for_itself():
    with lock("order:42"), pytest.raises(JobsError, match="held by this very block"), lock("order:42", wait=60):
        pass


def test_one_object_holds_once_at_a_time_and_may_hold_again():
    ours = lock("order:42")
    with ours, pytest.raises(JobsError, match="this very block"), ours:
        pass
    with ours:
        pass


@pytest.mark.parametrize(
    "given",
    [{"ttl": 0}, {"ttl": 0.1}, {"ttl": True}, {"ttl": 1e9}, {"wait": -1}, {"wait": "5"}, {"held": "retry"}],
    ids=str,
)
def test_what_cannot_be_is_refused(given):
    with pytest.raises(BadOptions):
        lock("order:42", **given)


def test_a_name_that_cannot_be_is_refused():
    with pytest.raises(BadOptions, match="lock ''"):
        lock("")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise BrokerUnavailable("Redis does not answer.")

    monkeypatch.setattr("jobs.broker.locks.lua.run", refuse)


@pytest.mark.usefixtures("away")
def test_a_lock_that_cannot_be_asked_for_is_not_entered():
    with pytest.raises(BrokerUnavailable), lock("order:42"):
        pytest.fail("it was entered")


def test_redis_that_goes_away_in_the_block_is_no_loss_until_its_life_is_over(monkeypatch):
    def refuse(*args: Any) -> None:
        raise BrokerUnavailable("Redis does not answer.")

    with lock("order:42") as ours:
        monkeypatch.setattr("jobs.broker.locks.lua.run", refuse)
        ours.check()
    monkeypatch.undo()
    with pytest.raises(LockLost), lock("order:43") as ours:
        monkeypatch.setattr("jobs.broker.locks.lua.run", refuse)
        monkeypatch.setattr(ours, "_until", time.monotonic() - 1)


def test_a_forked_copy_releases_nothing():
    with lock("order:42") as ours:
        child = os.fork()
        if child == 0:
            ours.__exit__(None, None, None)
            os._exit(0)
        os.waitpid(child, 0)
        assert token_of("order:42") == ours._token
        assert not ours.lost


def test_async_code_may_hold_it():
    async def work() -> None:
        with lock("order:42"):
            await asyncio.sleep(0)
            assert token_of("order:42")

    asyncio.run(work())
    assert token_of("order:42") is None


def _compete(ledger: Path, number: int) -> None:
    for turn in range(5):
        with lock("the till", wait=60):
            with ledger.open("a") as file:
                file.write(f"in {number} {turn}\n")
            time.sleep(0.002)
            with ledger.open("a") as file:
                file.write(f"out {number} {turn}\n")


def never_two(ledger: Path, expected: int) -> None:
    lines = [line.split(" ", 1) for line in ledger.read_text().splitlines()]
    assert len(lines) == 2 * expected
    for enter, leave in zip(lines[::2], lines[1::2], strict=True):
        assert (enter[0], leave[0], enter[1]) == ("in", "out", leave[1])


def test_never_two_threads_are_in_it(tmp_path):
    at_once(partial(_compete, tmp_path / "ledger"), range(4))
    never_two(tmp_path / "ledger", 20)


@pytest.mark.slow
def test_never_two_processes_are_in_it(tmp_path):
    forking = multiprocessing.get_context("fork")
    processes = [forking.Process(target=_compete, args=(tmp_path / "ledger", number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    never_two(tmp_path / "ledger", 20)


@pytest.mark.slow
def test_a_killed_holder_frees_it_when_its_life_is_over(broker_url):
    code = (
        "import django, os, time; django.setup()\n"
        "from jobs.locks import lock\n"
        "held = lock('order:42', ttl=2); held.__enter__(); print('held', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "REDIS_URL": broker_url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        time.sleep(2.5)
        assert token_of("order:42"), "it is renewed while its process lives"
        holder.kill()
    with lock("order:42", wait=20):
        pass


# In jobs.


@pytest.fixture
def ship(make_job: Callable[..., Any]) -> Callable[..., Any]:
    def make(**given: Any) -> Any:
        def ship() -> str:
            with lock("order:42", **given):
                return "shipped"

        return make_job(ship, retry=2)

    return make


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("given", "outcome", "verdict", "attempts"),
    [
        ({}, "postponed", "put off", 0),
        ({"held": "put off"}, "postponed", "put off", 0),
        ({"held": "raise"}, "raised", "retry", 1),
        ({"held": "skip"}, "raised", "discard", 1),
        ({"held": "skip", "wait": 0.05}, "raised", "discard", 1),
    ],
)
def test_what_contention_does_in_a_job_is_chosen(ship, given, outcome, verdict, attempts):
    held_by_another("order:42")
    run = ship(**given).enqueue()
    entry = attempt_next().entry
    assert (entry["outcome"], entry["verdict"]) == (outcome, verdict)
    recorder.record_all()
    assert run.row().attempts == attempts


@pytest.mark.django_db(transaction=True)
def test_a_run_that_was_put_off_says_so_and_succeeds_once_the_lock_is_free(ship):
    held_by_another("order:42")
    run = ship().enqueue()
    attempt_next()
    recorder.record_all()
    assert (run.state, run.row().error_message) == ("scheduled", "lock order:42 is held")
    server.release("order:42", token="another")
    client().lpush("rq:queue:default", str(run.id))
    client().delete("rq:scheduled:default")
    client().hset(f"rq:job:{run.id}", "status", "queued")
    assert attempt_next().entry["result"] == "shipped"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("away")
def test_a_lock_that_cannot_be_asked_for_burns_no_attempt(ship):
    ship().enqueue()
    assert attempt_next().entry["verdict"] == "put off"


@pytest.mark.django_db(transaction=True)
def test_a_held_lock_shows_the_run_that_holds_it(make_job):
    seen: list[server.Listed] = []

    def look() -> None:
        with lock("order:42"):
            seen.extend(server.listed())

    run = make_job(look).enqueue()
    attempt_next()
    assert (seen[0].name, seen[0].holder.run, seen[0].holder.worker) == ("order:42", str(run.id), "tester")
    assert seen[0].holder.process == os.getpid()


def test_being_put_off_by_a_lock_is_told_from_other_errors():
    held_by_another("order:42")
    with pytest.raises(PutOffJob) as refused, lock("order:42", held="put off"):
        pass
    assert isinstance(refused.value, LockHeld)
    assert 1 <= refused.value.seconds <= 5


@pytest.mark.parametrize(
    ("field", "damaged"),
    [("since", "1e300"), ("renewed", "nan"), ("fence", "inf"), ("holder", '{"host": "a", "process": 1e999}')],
)
def test_a_lock_whose_fields_are_damaged_is_listed_all_the_same(field, damaged):
    held_by_another("order:42")
    client().hset("jobs:lock:order:42", field, damaged)
    assert [one.name for one in locks.held()] == ["order:42"]


@pytest.mark.parametrize("damaged", ["nan", "inf", "1e300"])
def test_fences_grow_though_the_last_one_is_damaged(damaged):
    client().set("jobs:fence", damaged)
    with lock("order:42") as first:
        pass
    with lock("order:42") as second:
        assert second.fence > first.fence > time.time()

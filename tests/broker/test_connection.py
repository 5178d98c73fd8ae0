"""One client a process, and one name for a server that cannot be used."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest
import redis
from redis import exceptions

from jobs.broker import connection, epoch, inspect, keys, lua
from jobs.broker.claim import ClaimsPaused
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer
from jobs.errors import BrokerUnavailable
from tests.broker.messages import pushed
from tests.engine import claim


@pytest.fixture
def own_server(settings) -> Iterator[EmbeddedServer]:
    """A server that this test may break."""
    server = EmbeddedServer()
    server.start()
    settings.RQ_QUEUES = {name: {**options, "URL": server.url} for name, options in settings.RQ_QUEUES.items()}
    open_claims()
    yield server
    server.stop()


def open_claims() -> None:
    epoch.begin("tests")
    assert epoch.accept("tests")


def test_a_process_has_one_client():
    assert client() is client()


def test_a_forked_child_has_a_client_of_its_own():
    before = client()
    before.ping()
    if (pid := os.fork()) == 0:
        os._exit(0 if client() is not before and client().ping() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert client() is before


def test_a_server_that_is_not_there_is_named_at_once(own_server):
    own_server.kill()
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=r"[^.]\. Check .* the URL in RQ_QUEUES is right"):
        pushed()
    assert time.monotonic() - started < 1


def test_the_password_of_the_address_is_not_shown(settings):
    url = "redis://:swordfish@127.0.0.1:1/0"
    settings.RQ_QUEUES = {name: {**options, "URL": url} for name, options in settings.RQ_QUEUES.items()}
    with pytest.raises(BrokerUnavailable) as caught:
        inspect.ping()
    assert "swordfish" not in str(caught.value)


def test_a_full_server_is_unavailable_and_not_a_crash(own_server):
    pushed()
    client().config_set("maxmemory", "1")
    with pytest.raises(BrokerUnavailable, match="refuses"):
        pushed()
    with pytest.raises(BrokerUnavailable, match="refuses"):
        claim()
    client().config_set("maxmemory", "0")
    assert len(claim()) == 1


def test_a_replica_is_unavailable_and_not_a_crash(own_server):
    pushed()
    client().replicaof("127.0.0.1", "1")
    with pytest.raises(BrokerUnavailable, match="refuses"):
        pushed()
    client().replicaof("NO", "ONE")
    assert len(claim()) == 1


def test_a_server_that_forgot_the_scripts_is_told_them_again():
    pushed()
    client().script_flush()
    assert len(claim()) == 1


def test_a_server_that_came_back_empty_takes_runs_at_once_and_gives_none_until_it_is_compared(own_server):
    pushed()
    own_server.kill()
    own_server.start()
    pushed()
    with pytest.raises(ClaimsPaused, match="compared it with the rows"):
        claim()
    open_claims()
    assert len(claim()) == 1


def test_a_fault_of_our_own_is_not_called_an_outage():
    with pytest.raises(redis.ResponseError):
        lua.run("push", ["id", "default", "not a life", "", "not a count"])


def test_a_reader_may_have_a_longer_time_limit():
    assert connection.connect(read_timeout=35).connection_pool.connection_kwargs["socket_timeout"] == 35


def test_a_refusal_within_a_pipeline_is_unavailable_and_not_a_crash():
    client().set(keys.queue("default"), "x")
    with pytest.raises(BrokerUnavailable, match="WRONGTYPE"):
        inspect.queues_now(["default"])


@pytest.mark.parametrize(
    "words",
    [
        "MISCONF Errors writing to the AOF file",
        "BUSY Redis is busy running a script",
        "UNBLOCKED force unblock from blocking operation, instance state changed",
        "ERR Error running script (call to f_6f): @user_script:30: -READONLY You can't write",
        "ERR Error running script (call to f_6f): @user_script: 30: OOM command not allowed",
    ],
)
def test_what_a_server_says_when_it_cannot_for_now_is_unavailable(words):
    assert isinstance(connection.named_error(redis.ResponseError(words)), BrokerUnavailable)


@pytest.mark.parametrize(
    "error_class", [exceptions.TryAgainError, exceptions.ClusterDownError, exceptions.MasterDownError]
)
def test_so_is_what_redis_py_has_a_class_for(error_class):
    assert isinstance(connection.named_error(error_class("no")), BrokerUnavailable)


def test_other_words_are_a_fault_of_our_own():
    error = redis.ResponseError("ERR Error running script (call to f_6f): @user_script:30: attempt to index nil")
    assert connection.named_error(error) is error


class Mute:
    """A server that takes every connection and says nothing."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.url = f"redis://127.0.0.1:{self.listening.getsockname()[1]}/0"

    def calls(self) -> int:
        """How many have connected since it was asked last."""
        self.listening.settimeout(0.05)
        count = 0
        while True:
            try:
                self.listening.accept()[0].close()
            except TimeoutError:
                return count
            count += 1


@pytest.fixture
def mute(settings, monkeypatch) -> Iterator[Mute]:
    """The server of the settings is silent, and the impatient wait a quarter of their second."""
    monkeypatch.setattr(connection, "_HASTY_READ_SECONDS", connection._HASTY_READ_SECONDS / 4)
    server = Mute()
    settings.RQ_QUEUES = {name: {**options, "URL": server.url} for name, options in settings.RQ_QUEUES.items()}
    yield server
    server.listening.close()


def test_the_impatient_wait_once_and_then_do_not_ask_for_five_seconds(mute, monkeypatch):
    started = time.monotonic()
    with connection.impatient():
        with pytest.raises(BrokerUnavailable):
            inspect.journal_now()
        assert time.monotonic() - started < 0.9
        assert mute.calls() == 1
        for ask in (inspect.ping, inspect.journal_now, lambda: inspect.queues_now(["default"])):
            with pytest.raises(BrokerUnavailable, match="asked again within 5 s"):
                ask()
        assert mute.calls() == 0
    monkeypatch.setattr(connection, "time", _Later(5.1))
    with connection.impatient(), pytest.raises(BrokerUnavailable):
        inspect.ping()
    assert mute.calls() == 1


def test_a_key_in_use_for_something_else_is_no_silence():
    client().set(keys.JOURNAL, "a string")
    with connection.impatient():
        with pytest.raises(BrokerUnavailable):
            inspect.journal_now()
        inspect.ping()


def test_others_go_on_asking_while_the_impatient_do_not(own_server):
    own_server.kill()
    with connection.impatient(), pytest.raises(BrokerUnavailable):
        inspect.ping()
    own_server.start()
    inspect.ping()
    with connection.impatient(), pytest.raises(BrokerUnavailable):
        inspect.ping()


class _Later:
    """The clock, so many seconds on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._seconds

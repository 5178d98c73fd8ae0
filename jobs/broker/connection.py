"""One client per process, with limits on connect, read and pool. Each connection knows which server it leads to.

What is asked within `impatient` has a client with tighter limits, and does without a server that was silent lately.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
from redis.retry import Retry

from jobs import conf
from jobs.errors import BrokerUnavailable
from jobs.policy.redaction import mask_text

# redis-py's hints allow for every way of decoding at once, so they would only be in the way.
Client = Any

# redis-py makes classes of some of the server's words, and takes those words off the message.
_REFUSALS = (OutOfMemoryError, ReadOnlyError, ClusterDownError, TryAgainError, NoPermissionError)
# The others, and what a server before version 7 puts in front of them when a script of ours meets one.
_OTHER_REFUSALS = re.compile(
    r"(?:ERR Error running script.*@user_script:\s?\d+: -?)?"
    r"(?:MISCONF|NOREPLICAS|BUSY|UNBLOCKED|WRONGTYPE|OOM|READONLY|MASTERDOWN|NOPERM)\b"
)
# What becomes of a connection that leads to a replica: the name may lead to the new primary by now.
_LEADS_ELSEWHERE = (ReadOnlyError, ClusterDownError)
_SILENCE = (redis.ConnectionError, redis.TimeoutError)

# Somebody waits for the page. A lost packet is sent again after a second, so a longer connect would gain nothing;
# a name may have two addresses, which are tried in turn.
_HASTY_CONNECT_SECONDS = 0.5
_HASTY_READ_SECONDS = 1.0
# Each question to a server that is silent takes as long as the limits let it.
_NOT_ASKED_SECONDS = 5.0

_is_impatient: ContextVar[bool] = ContextVar("jobs_is_impatient", default=False)
# Until when a server, by its address, is not asked by the impatient.
_silent_until: dict[str, float] = {}


class _OneAProcess:
    """A client for the server that the settings name. A forked child gets its own: two processes on one socket mix
    their answers.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._client: Client = None
        self._made_for: tuple[int, str] | None = None

    def get(self, url: str) -> Client:
        wanted = (os.getpid(), url)
        if self._client is None or self._made_for != wanted:
            self._client, self._made_for = self._connect(), wanted
        return self._client


def client() -> Client:
    """This process's client. Within `impatient` it raises `BrokerUnavailable` where the server was silent lately."""
    url = conf.redis_url()
    if not _is_impatient.get():
        return _patient.get(url)
    if time.monotonic() < _silent_until.get(url, 0.0):
        raise BrokerUnavailable(
            f"Redis or Valkey at {_shown_url()} did not answer a moment ago: it is asked again within "
            f"{_NOT_ASKED_SECONDS:.0f} s. Check that it runs and that the URL in RQ_QUEUES is right."
        )
    return _hasty.get(url)


@contextmanager
def impatient() -> Iterator[None]:
    """For pages and whoever else cannot wait: within, a question takes a second at the most.

    After a server did not answer, every question within raises `BrokerUnavailable` at once, for 5 s.
    """
    token = _is_impatient.set(True)
    try:
        yield
    finally:
        _is_impatient.reset(token)


def connect(*, read_timeout: float | None = None, connect_timeout: float | None = None) -> Client:
    """A client of its own, for a reader that blocks longer than `REDIS_READ_TIMEOUT`, or one that cannot wait."""
    choices = conf.get()
    pool = redis.BlockingConnectionPool.from_url(
        conf.redis_url(),
        max_connections=choices.REDIS_POOL_SIZE,
        timeout=min(choices.REDIS_READ_TIMEOUT, read_timeout or choices.REDIS_READ_TIMEOUT),
        socket_connect_timeout=connect_timeout or choices.REDIS_CONNECT_TIMEOUT,
        socket_timeout=read_timeout or choices.REDIS_READ_TIMEOUT,
        # A repeated command may run twice when only its answer was lost: who calls decides that.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        redis_connect_func=_meet,
    )
    return redis.Redis(connection_pool=pool)


def _connect_in_haste() -> Client:
    choices = conf.get()
    return connect(
        read_timeout=min(choices.REDIS_READ_TIMEOUT, _HASTY_READ_SECONDS),
        connect_timeout=min(choices.REDIS_CONNECT_TIMEOUT, _HASTY_CONNECT_SECONDS),
    )


_patient = _OneAProcess(connect)
_hasty = _OneAProcess(_connect_in_haste)


def server_of(connection: Any) -> str:
    """The id of the server that a connection leads to: another one after each of its starts. Empty if it hides it."""
    return str(connection.jobs_server)


@contextmanager
def errors_named() -> Iterator[None]:
    """Turn what the network or the server refuses into `BrokerUnavailable`."""
    try:
        yield
    except redis.RedisError as error:
        named = named_error(error)
        if _is_impatient.get() and isinstance(error, _SILENCE):
            _silent_until[conf.redis_url()] = time.monotonic() + _NOT_ASKED_SECONDS
        if named is error:
            raise
        raise named from error


def named_error(error: redis.RedisError) -> Exception:
    """`BrokerUnavailable` for what the network or the server refuses, else the error itself."""
    if isinstance(error, _SILENCE):
        return BrokerUnavailable(
            f"Redis or Valkey at {_shown_url()} does not answer: {_without_stop(error)}. "
            "Check that it runs and that the URL in RQ_QUEUES is right."
        )
    if isinstance(error, redis.ResponseError) and _refuses_for_now(error):
        return BrokerUnavailable(f"Redis or Valkey at {_shown_url()} refuses: {_without_stop(error)}.")
    return error


def leads_elsewhere(error: object) -> bool:
    """Whether a connection that brought this error is to be closed, so that the next one finds the new primary."""
    return isinstance(error, _LEADS_ELSEWHERE)


def _meet(connection: Any) -> None:
    """Begin a connection as redis-py does, and ask which server it leads to.

    A server that restarts closes its connections, so the answer holds for as long as the connection does.
    """
    connection.on_connect()
    connection.jobs_server = ""
    connection.send_command("INFO", "server", check_health=False)
    try:
        found = re.search(rb"run_id:(\w+)", connection.read_response(disable_decoding=True))
    except redis.ResponseError:
        # A user who may not ask: a wiped server is told by its missing epoch all the same.
        return
    connection.jobs_server = found.group(1).decode() if found else ""


def _refuses_for_now(error: redis.ResponseError) -> bool:
    """Whether the server is there and will not do it: full, a replica, or a key in use for something else."""
    # A pipeline puts the command before the server's words.
    words = str(error).rpartition(" of pipeline caused error: ")[2]
    return isinstance(error, _REFUSALS) or bool(_OTHER_REFUSALS.match(words))


def _without_stop(error: Exception) -> str:
    return str(error).rstrip(".")


def _shown_url() -> str:
    return mask_text(conf.redis_url())

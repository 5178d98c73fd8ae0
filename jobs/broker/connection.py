"""One client per process, with limits on connect, read and pool."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import MasterDownError, NoPermissionError, OutOfMemoryError, ReadOnlyError
from redis.retry import Retry

from jobs import conf
from jobs.errors import BrokerUnavailable
from jobs.policy.redaction import mask_text

# redis-py's hints allow for every way of decoding at once, so they would only be in the way.
Client = Any

# redis-py makes classes of some of the server's words, and takes those words off the message.
_REFUSALS = (OutOfMemoryError, ReadOnlyError, MasterDownError, NoPermissionError)
_OTHER_REFUSALS = ("MISCONF", "NOREPLICAS", "BUSY", "WRONGTYPE")

_client: Client = None
_made_for: tuple[int, str] | None = None


def client() -> Client:
    """This process's client. A forked child gets its own: two processes on one socket mix their answers."""
    global _client, _made_for
    wanted = (os.getpid(), conf.redis_url())
    if _client is None or _made_for != wanted:
        _client, _made_for = connect(), wanted
    return _client


def connect(*, read_timeout: float | None = None) -> Client:
    """A client of its own, for a reader that blocks longer than `REDIS_READ_TIMEOUT`."""
    choices = conf.get()
    pool = redis.BlockingConnectionPool.from_url(
        conf.redis_url(),
        max_connections=choices.REDIS_POOL_SIZE,
        timeout=choices.REDIS_READ_TIMEOUT,
        socket_connect_timeout=choices.REDIS_CONNECT_TIMEOUT,
        socket_timeout=read_timeout or choices.REDIS_READ_TIMEOUT,
        # A repeated command may run twice when only its answer was lost: who calls decides that.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return redis.Redis(connection_pool=pool)


@contextmanager
def errors_named() -> Iterator[None]:
    """Turn what the network or the server refuses into `BrokerUnavailable`."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise BrokerUnavailable(
            f"Redis or Valkey at {_shown_url()} does not answer: {_without_stop(error)}. "
            "Check that it runs and that the URL in RQ_QUEUES is right."
        ) from error
    except redis.ResponseError as error:
        if not _refuses_for_now(error):
            raise
        raise BrokerUnavailable(f"Redis or Valkey at {_shown_url()} refuses: {_without_stop(error)}.") from error


def _refuses_for_now(error: redis.ResponseError) -> bool:
    """Whether the server is there and will not do it: full, a replica, or a key in use for something else."""
    # A pipeline puts the command before the server's words.
    words = str(error).rpartition(" of pipeline caused error: ")[2]
    return isinstance(error, _REFUSALS) or words.startswith(_OTHER_REFUSALS)


def _without_stop(error: Exception) -> str:
    return str(error).rstrip(".")


def _shown_url() -> str:
    return mask_text(conf.redis_url())

"""The jobs that are measured and killed. Those that die by plan get no fuse by themselves, which would hold them."""

from __future__ import annotations

import os
import signal
import time

from django.db import IntegrityError, transaction

from bench.ledger import note
from bench.models import Effect
from jobs import RetryPolicy, current_run, failpoints, fixed, job

# A record of a death is about no job: its neighbours die too.
_NO_KEY = -1


@job
def rest(ms: int) -> None:
    _rest(ms)


@job(durable=False)
def rest_unrecorded(ms: int) -> None:
    _rest(ms)


@job
def tell(key: int) -> None:
    note("start", key)


@job(durable=False)
def tell_unrecorded(key: int) -> None:
    note("start", key)


@job(retry=RetryPolicy(attempts=10, backoff=fixed(0.5)), timeout=60, fuse=None)
def work(key: int, ms: int) -> None:
    attempt = current_run().attempt
    note("start", key, attempt)
    _rest(ms)
    if failpoints.armed:
        failpoints.reach("mid_job")
    if _take_effect(key):
        note("effect", key)
    note("end", key, attempt)


@job(retry=RetryPolicy(attempts=6, backoff=fixed(0.5)), timeout=60, fuse=None)
def mortal(key: int, ms: int, how: str, times: int) -> None:
    """As `work`, but its first attempts, so many, die: by "kill", by "exit", or for want of "memory"."""
    attempt = current_run().attempt
    note("start", key, attempt)
    _rest(ms)
    if attempt <= times:
        if how == "memory":
            note("failed", key, attempt)
        _die(how)
    if _take_effect(key):
        note("effect", key)
    note("end", key, attempt)


@job(retry=RetryPolicy(attempts=10, backoff=fixed(2)), timeout=60)
def stumble(key: int, times: int) -> None:
    """Fail at the first attempts, so many, as when a partner is away."""
    attempt = current_run().attempt
    note("start", key, attempt)
    if attempt <= times:
        note("failed", key, attempt)
        raise ConnectionError("the partner is away")
    note("effect", key)
    note("end", key, attempt)


@job
def give(what: str) -> object:
    """Return what cannot be kept: an "object", something "huge" or "deep"; "nothing" is what can."""
    if what == "deep":
        nested: list[object] = []
        for _ in range(1000):
            nested = [nested]
        return nested
    return {"object": object(), "huge": "x" * 50_000_000 if what == "huge" else ""}.get(what)


@job(retry=RetryPolicy(attempts=1))
def short(fails: bool) -> None:
    if fails:
        raise ValueError("as planned")


def _die(how: str) -> None:
    if how == "memory":
        bytearray(2**40)
    note("fault", _NO_KEY, [how, [os.getpid()]])
    if how == "exit":
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def _rest(ms: int) -> None:
    if ms:
        time.sleep(ms / 1000)


def _take_effect(key: int) -> bool:
    """Whether this attempt was the one that wrote the effect."""
    try:
        with transaction.atomic():
            Effect(key=key).save(force_insert=True)
    except IntegrityError:
        return False
    return True

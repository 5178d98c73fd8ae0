"""The jobs that are measured and killed."""

from __future__ import annotations

import time

from django.db import IntegrityError, transaction

from bench.ledger import note
from bench.models import Effect
from jobs import RetryPolicy, current_run, failpoints, fixed, job


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


@job(retry=RetryPolicy(attempts=10, backoff=fixed(0.5)), timeout=60)
def work(key: int, ms: int) -> None:
    attempt = current_run().attempt
    note("start", key, attempt)
    _rest(ms)
    if failpoints.armed:
        failpoints.reach("mid_job")
    if _take_effect(key):
        note("effect", key)
    note("end", key, attempt)


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

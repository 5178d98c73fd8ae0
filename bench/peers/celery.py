"""Celery on Redis, with JSON, and without a result backend, as its guide advises where nobody reads results."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, group

from bench import clients
from bench.ledger import note

# Celery has its own word for a unix socket.
app = Celery("bench", broker=os.environ["REDIS_URL"].replace("unix://", "redis+socket://"))
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


@app.task(name="rest")
def rest(ms: int) -> None:
    clients.rest(ms)


@app.task(name="tell")
def tell(key: int) -> None:
    note("start", key)


def _rest_many(count: int, ms: int) -> Any:
    return group(rest.s(ms) for _ in range(count)).apply_async()


CLIENT = clients.Client(rest=rest.delay, tell=tell.delay, rest_many=_rest_many)

"""Huey on Redis, with its blocking pop and without results. It has no call that enqueues many."""

from __future__ import annotations

import os

from huey import RedisHuey

from bench import clients
from bench.ledger import note

huey = RedisHuey("bench", url=os.environ["REDIS_URL"], results=False)


@huey.task()
def rest(ms: int) -> None:
    clients.rest(ms)


@huey.task()
def tell(key: int) -> None:
    note("start", key)


CLIENT = clients.Client(rest=rest, tell=tell)

"""Dramatiq on Redis, with its own middleware as it comes and without results."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench import clients
from bench.ledger import note

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))


@dramatiq.actor(actor_name="rest")
def rest(ms: int) -> None:
    clients.rest(ms)


@dramatiq.actor(actor_name="tell")
def tell(key: int) -> None:
    note("start", key)


def _rest_many(count: int, ms: int) -> Any:
    return dramatiq.group([rest.message(ms) for _ in range(count)]).run()


CLIENT = clients.Client(rest=rest.send, tell=tell.send, rest_many=_rest_many)

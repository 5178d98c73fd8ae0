"""A Valkey of the test process's own, to which all queues are led."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer, embedded_server


@contextmanager
def embedded_valkey() -> Iterator[EmbeddedServer]:
    """A server for the length of the block, to which every queue of `RQ_QUEUES` is led.

    Raises `ServerNotFound` when none is installed. With unittest:

        def setUpModule():
            unittest.enterModuleContext(embedded_valkey())
    """
    with embedded_server() as server, _led_to(server.url):
        yield server


def empty_valkey() -> None:
    """Remove everything from the server that the settings name. Raises what redis-py raises."""
    client().flushdb()


@contextmanager
def _led_to(url: str) -> Iterator[None]:
    # The queues are changed in place: django-rq may have handed out these very dicts.
    queues = settings.RQ_QUEUES
    queues_before = {name: dict(queue) for name, queue in queues.items()}
    url_before = getattr(settings, "REDIS_URL", None)
    settings.REDIS_URL = url
    for queue in queues.values():
        queue["URL"] = url
    try:
        yield
    finally:
        settings.REDIS_URL = url_before
        for name, queue in queues_before.items():
            queues[name].clear()
            queues[name].update(queue)

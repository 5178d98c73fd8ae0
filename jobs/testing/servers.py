"""A Valkey of the test process's own, to which all queues are led."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from jobs import conf
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer, embedded_server
from jobs.errors import JobsError
from jobs.policy.redaction import mask_text

# The addresses of servers that this process started for its tests.
_own: set[str] = set()


class NotATestServer(JobsError):
    """The settings name a server that no test started: it may hold somebody's real runs."""


def check_is_a_test_server() -> None:
    """Raises `NotATestServer` unless `embedded_valkey` started the server that the settings name."""
    if conf.redis_url() not in _own:
        raise NotATestServer(
            f"{mask_text(conf.redis_url())} was not started by this test, so its runs may be real, and they would run "
            "here against the test's database. Use the fixture jobs_valkey or embedded_valkey(), "
            "or say drain(any_server=True) where a server is kept for tests alone."
        )


@contextmanager
def embedded_valkey() -> Iterator[EmbeddedServer]:
    """A server for the length of the block, to which every queue of `RQ_QUEUES` is led.

    Raises `ServerNotFound` when none is installed. With unittest:

        def setUpModule():
            unittest.enterModuleContext(embedded_valkey())
    """
    with embedded_server() as server, _led_to(server.url):
        _own.add(server.url)
        try:
            yield server
        finally:
            _own.discard(server.url)


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

"""A real Valkey for every test process, emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from jobs import conf
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer, embedded_server


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedServer]:
    """The server of this test process."""
    with embedded_server() as server:
        settings.REDIS_URL = server.url
        for queue in settings.RQ_QUEUES.values():
            queue["URL"] = server.url
        yield server


@pytest.fixture
def broker_url(valkey: EmbeddedServer) -> str:
    return valkey.url


@pytest.fixture(autouse=True)
def empty_broker(valkey: EmbeddedServer) -> None:
    client().flushdb()


@pytest.fixture
def jobs_settings(settings):
    """Change keys of `JOBS` for one test: `jobs_settings(LEASE=1)`."""

    def change(**choices):
        settings.JOBS = {**settings.JOBS, **choices}
        return conf.get()

    return change

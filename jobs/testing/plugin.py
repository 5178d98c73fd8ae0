"""Fixtures for pytest, with pytest-django. Load them in the conftest.py at the top of your tests:
`pytest_plugins = ["jobs.testing.plugin"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from jobs import circuits
from jobs.broker.embedded import EmbeddedServer
from jobs.testing import Attempts, FakeJobs, InlineJobs, drain, embedded_valkey, fake, inline
from jobs.testing.servers import empty_valkey


@pytest.fixture
def jobs_fake() -> Iterator[FakeJobs]:
    """What is enqueued is recorded and does not run: `jobs_fake.assert_enqueued(job, …)`."""
    with fake() as jobs:
        yield jobs


@pytest.fixture
def jobs_inline() -> Iterator[InlineJobs]:
    """What is enqueued runs in the test's thread as soon as its transaction commits: `jobs_inline.attempts`."""
    with inline() as jobs:
        yield jobs


@pytest.fixture
def jobs_drain(db: None, jobs_valkey: EmbeddedServer) -> Callable[..., Attempts]:
    """`drain`, with a database and an empty Valkey: `jobs_drain()` runs what is queued."""
    return drain


@pytest.fixture
def jobs_valkey(jobs_valkey_server: EmbeddedServer) -> EmbeddedServer:
    """The test process's own Valkey, emptied before the test; and no circuit is known to be open."""
    empty_valkey()
    circuits.forget()
    return jobs_valkey_server


@pytest.fixture(scope="session")
def jobs_valkey_server() -> Iterator[EmbeddedServer]:
    """A Valkey for this test process, to which `RQ_QUEUES` leads from the first test that asks to the last."""
    with embedded_valkey() as server:
        yield server

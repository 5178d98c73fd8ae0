"""A real Valkey for every test process, emptied before each test."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from importlib import import_module

import pytest

from jobs import conf
from jobs.broker import connection, epoch
from jobs.broker.embedded import EmbeddedServer

pytest_plugins = ["jobs.testing.plugin"]

# A shell that starts us in the background lets us ignore SIGINT, and all that we start would do the same.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def valkey(jobs_valkey_server: EmbeddedServer) -> EmbeddedServer:
    """The server of this test process."""
    return jobs_valkey_server


@pytest.fixture
def broker_url(valkey: EmbeddedServer) -> str:
    return valkey.url


@pytest.fixture(autouse=True)
def empty_broker(jobs_valkey: EmbeddedServer) -> None:
    """Every test begins with an empty server that may be claimed from, and that nobody believes to be silent."""
    connection._silent_until.clear()
    # The console remembers for some seconds what it saw; imported when the apps are ready.
    import_module("jobs.admin.shell").forget()
    epoch.begin("tests")
    epoch.accept("tests")


@pytest.fixture(scope="session", autouse=True)
def empty_quickly() -> Iterator[None]:
    """Tables are emptied in a tenth of the time that Django takes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("django.test.TransactionTestCase._fixture_teardown", import_module("tests.emptying").flush)
        yield


@pytest.fixture
def jobs_settings(settings):
    """Change keys of `JOBS` for one test: `jobs_settings(LEASE=1)`."""

    def change(**choices):
        settings.JOBS = {**settings.JOBS, **choices}
        return conf.get()

    return change

"""A project on plain RQ: its queue, and its settings after the switch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rq import Queue
from rq.serializers import DefaultSerializer, JSONSerializer

from jobs.broker.connection import client
from tests.foreign import tasks

TASKS = "tests.foreign.tasks"


@pytest.fixture
def called() -> Iterator[list[Any]]:
    """What the project's functions did in this test."""
    tasks.calls.clear()
    yield tasks.calls
    tasks.calls.clear()


@pytest.fixture
def allowed(jobs_settings: Callable[..., Any], called: list[Any]) -> None:
    """The project's module is allowed, and so are its pickles."""
    jobs_settings(FOREIGN_JOBS=[TASKS], FOREIGN_PICKLE=True)


@pytest.fixture(params=[JSONSerializer, DefaultSerializer], ids=["json", "pickle"])
def queue(request: pytest.FixtureRequest) -> Queue:
    """Plain RQ's own queue, with each of its serializers."""
    return Queue("default", connection=client(), serializer=request.param)


@pytest.fixture
def pickling() -> Queue:
    return Queue("default", connection=client())

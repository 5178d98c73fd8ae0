"""A Redis that takes connections and says nothing: pages answer all the same, and soon."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.admin.rows import a_run


@pytest.fixture
def mute(settings: Any) -> Iterator[socket.socket]:
    """The server of the settings is silent. Its backlog takes what connects."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=50)
    url = f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
    settings.RQ_QUEUES = {name: {**options, "URL": url} for name, options in settings.RQ_QUEUES.items()}
    yield listening
    listening.close()


@pytest.mark.slow
@pytest.mark.usefixtures("mute")
def test_while_redis_is_silent_the_first_page_waits_a_second_and_the_next_do_not(viewer: Client) -> None:
    run = a_run("queued")
    started = time.monotonic()
    assert viewer.get(reverse("admin:jobs_jobrun_waiting")).status_code == 200
    assert time.monotonic() - started < 2
    started = time.monotonic()
    for address in (reverse("admin:jobs_jobrun_change", args=[run.pk]), reverse("admin:jobs_schedule_changelist")):
        assert viewer.get(address).status_code == 200
    assert time.monotonic() - started < 1

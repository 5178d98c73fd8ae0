"""A push whose answer is lost on the way is neither lost nor doubled."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from redis import Redis

from jobs.broker import keys
from jobs.broker.embedded import EmbeddedServer
from jobs.errors import BrokerUnavailable
from jobs.models import JobRun
from jobs.relay import relay
from tests.engine import make_job, work_off
from tests.sample import jobs as sample

__all__ = ["make_job"]

pytestmark = pytest.mark.django_db(transaction=True)


class Proxy:
    """Stands between client and server, and may keep one answer for itself: then it closes the connection."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.keeps_an_answer = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, connected(self._server.url) as server:
            answers = threading.Thread(target=self._answer, args=[server, client], daemon=True)
            answers.start()
            while words := client.recv(65536):
                server.sendall(words)
            server.shutdown(socket.SHUT_WR)
            answers.join(timeout=10)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while words := server.recv(65536):
                if self.keeps_an_answer:
                    self.keeps_an_answer = False
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(words)


def connected(url: str) -> socket.socket:
    if url.startswith("unix://"):
        made = socket.socket(socket.AF_UNIX)
        made.connect(url.removeprefix("unix://").partition("?")[0])
        return made
    host, _, port = url.removeprefix("redis://").partition("/")[0].partition(":")
    return socket.create_connection((host, int(port)))


@pytest.fixture
def proxy(jobs_valkey: EmbeddedServer, settings) -> Iterator[Proxy]:
    made = Proxy(jobs_valkey)
    settings.RQ_QUEUES = {name: {**options, "URL": made.url} for name, options in settings.RQ_QUEUES.items()}
    # The scripts are known to the server, and the connection stands, before an answer is kept.
    sample.add.using(queue="low").enqueue(1, 2)
    yield made
    made.close()


def waiting(server: EmbeddedServer) -> list[bytes]:
    with Redis.from_url(server.url) as direct:
        return direct.lrange(keys.queue("default"), 0, -1)


def test_a_run_whose_push_was_not_answered_is_there_once(proxy, jobs_valkey, caplog):
    with transaction.atomic():
        run = sample.add.enqueue(1, 2)
        proxy.keeps_an_answer = True
    assert not proxy.keeps_an_answer
    assert "the relay will push" in caplog.text
    assert waiting(jobs_valkey) == [str(run.id).encode()]
    JobRun.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert relay() == 2
    assert waiting(jobs_valkey) == [str(run.id).encode()]
    work_off()
    assert run.state == "succeeded"


def test_many_whose_push_was_not_answered_are_there_once(proxy, jobs_valkey):
    with transaction.atomic():
        runs = sample.add.enqueue_many((number, 1) for number in range(3000))
        proxy.keeps_an_answer = True
    JobRun.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    while relay():
        pass
    assert sorted(waiting(jobs_valkey)) == sorted(str(run.id).encode() for run in runs)


def test_without_a_row_the_caller_hears_that_nobody_knows(proxy, jobs_valkey, make_job):
    job = make_job(lambda: None, durable=False)
    proxy.keeps_an_answer = True
    with pytest.raises(BrokerUnavailable):
        job.enqueue()
    assert len(waiting(jobs_valkey)) == 1

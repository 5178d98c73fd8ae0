"""The same numbers reach a StatsD server, here a real socket, as differences and with tags."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from jobs import conf, metrics, recorder
from jobs.exposition import statsd
from tests.engine import attempt_next
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)

TAGS = "|#job:tests.sample.add,queue:default"


@pytest.fixture
def server(settings) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        settings.JOBS = {**settings.JOBS, "STATSD": f"udp://127.0.0.1:{listening.getsockname()[1]}"}
        yield listening


def heard(server: socket.socket, lines: int) -> list[str]:
    found: list[str] = []
    while len(found) < lines:
        found += server.recv(65_535).decode().split("\n")
    return found


def run(count: int) -> None:
    sample.add.enqueue_many([(1, 2)] * count)
    for _ in range(count):
        attempt_next()
    recorder.record_all()
    metrics.carry()


@pytest.fixture
def sender() -> Iterator[statsd.Sender]:
    made = statsd.Sender()
    yield made
    made.close()


def test_what_was_counted_since_the_last_time_is_sent(server, sender):
    run(2)
    first = heard(server, sender.send())
    assert not [line for line in first if "|c" in line]
    assert "jobs.redis_up:1|g" in first
    assert "jobs.queue_depth:0|g|#queue:default" in first
    run(3)
    second = heard(server, sender.send())
    for line in ("jobs.enqueued:3|c", "jobs.started:3|c", "jobs.succeeded:3|c", "jobs.processed:3|c"):
        assert line + TAGS in second
    timings = [line for line in second if line.startswith("jobs.run:")]
    assert sum(_times(line) for line in timings) == 3
    third = heard(server, sender.send())
    assert not [line for line in third if "|c" in line or "|ms" in line]


def _times(line: str) -> int:
    rate = [part for part in line.split("|") if part.startswith("@")]
    return round(1 / float(rate[0][1:])) if rate else 1


def test_who_has_not_sent_for_a_while_begins_anew(server, sender, monkeypatch):
    heard(server, sender.send())
    run(1)
    monkeypatch.setattr(statsd, "_STALE_SECONDS", -1.0)
    assert not [line for line in heard(server, sender.send()) if "|c" in line]


def test_nothing_is_sent_where_nobody_is_named(settings):
    settings.JOBS = {**settings.JOBS, "STATSD": ""}
    assert statsd.Sender().send() == 0


def test_packets_pass_a_network_whole_and_lose_no_line():
    lines = [f"jobs.enqueued:{number}|c|#job:{'x' * (number % 90)}" for number in range(500)]
    found = list(statsd.packets(lines))
    assert max(map(len, found)) <= 1432
    assert [line for packet in found for line in packet.decode().split("\n")] == lines


def test_a_name_that_would_end_a_tag_does_not():
    assert statsd._tags(circuit="a|b,c:d\ne é") == "|#circuit:a_b_c_d_e_é"


@pytest.mark.parametrize("address", ["http://x:1", "udp://x", "udp://:1", "8125", "udp://x:99999"])
def test_an_address_that_cannot_be_is_found_by_the_checks(address):
    assert not conf.KINDS["STATSD"].fits(address)
    assert conf.KINDS["STATSD"].fits("udp://[::1]:8125")

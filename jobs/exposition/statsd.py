"""Sends the numbers to a StatsD server, with tags as Datadog's, Telegraf's and Vector's understand them.

What was counted goes as differences to the last time. Durations are known by their buckets only, so each bucket goes as
one timing with the rate that makes it as many: 50 runs of up to 128 ms are `jobs.run:128|ms|@0.02`.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from jobs import conf
from jobs.exposition.numbers import Numbers, take
from jobs.models.metrics import COLUMNS, COUNTS, RUNS, WAITS
from jobs.policy import histogram
from jobs.totals import Total

SECONDS = 10.0
# What passes an Ethernet in one piece.
_PACKET_BYTES = 1432
# After so long another process may have sent in between.
_STALE_SECONDS = 3 * SECONDS
# When the server's name is looked up anew.
_SOCKET_SECONDS = 300.0
# What ends a name or a tag.
_UNFIT = re.compile(r"[^\w.\-/]")

_Sums = dict[tuple[str, str], Sequence[int]]


class Sender:
    """What one process sends; only the one that leads does. The first time it has nothing to take differences to."""

    def __init__(self) -> None:
        self._before: _Sums | None = None
        self._at = 0.0
        self._socket: tuple[str, float, socket.socket] | None = None

    def send(self) -> int:
        """Send what was counted since the last time, and how things stand, where `JOBS["STATSD"]` says so.

        Returns how many lines that were. Raises OSError.
        """
        address, now = conf.get().STATSD, time.monotonic()
        if not address:
            return 0
        numbers = take()
        before = self._before if now - self._at <= _STALE_SECONDS else None
        lines = [*_gauges(numbers)]
        if numbers.database_up:
            lines += _counted(numbers.totals, before)
            self._before, self._at = {total[:2]: total.sums for total in numbers.totals}, now
        out = self._out(address, now)
        try:
            for packet in packets(lines):
                out.send(packet)
        except OSError:
            self.close()
            raise
        return len(lines)

    def _out(self, address: str, now: float) -> socket.socket:
        if self._socket is not None and (self._socket[0] != address or now - self._socket[1] > _SOCKET_SECONDS):
            self.close()
        if self._socket is None:
            self._socket = address, now, _connected(address)
        return self._socket[2]

    def close(self) -> None:
        """Let the socket go; the next `send` makes another."""
        if self._socket is not None:
            self._socket[2].close()
            self._socket = None


def packets(lines: Iterable[str]) -> Iterator[bytes]:
    """The lines in packets that a network passes whole."""
    packet = b""
    for line in lines:
        more = line.encode()
        if packet and len(packet) + 1 + len(more) > _PACKET_BYTES:
            yield packet
            packet = b""
        packet = packet + b"\n" + more if packet else more
    if packet:
        yield packet


def _connected(address: str) -> socket.socket:
    parts = urlsplit(address)
    family, kind, protocol, _, there = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_DGRAM)[0]
    out = socket.socket(family, kind, protocol)
    out.connect(there)
    return out


def _counted(found: Sequence[Total], before: _Sums | None) -> Iterator[str]:
    if before is None:
        return
    for total in found:
        there = before.get(total[:2], (0,) * len(COLUMNS))
        fresh = total._replace(sums=[max(0, now - then) for now, then in zip(total.sums, there, strict=True)])
        yield from _lines(fresh)


def _lines(fresh: Total) -> Iterator[str]:
    tags = _tags(job=fresh.job, queue=fresh.queue)
    for name, count in [*((name, fresh.count(name)) for name in COUNTS), ("processed", fresh.processed)]:
        if count:
            yield f"jobs.{name}:{count}|c{tags}"
    for name, buckets, columns in (("wait", fresh.waits, WAITS), ("run", fresh.runs, RUNS)):
        for bucket in range(len(columns)):
            if count := buckets[bucket]:
                yield f"jobs.{name}:{histogram.end_ms(bucket) or 1 << bucket}|ms{_rate(count)}{tags}"


def _rate(count: int) -> str:
    return "" if count == 1 else f"|@{1 / count:.9g}"


def _gauges(numbers: Numbers) -> Iterator[str]:
    yield f"jobs.redis_up:{int(numbers.redis_up)}|g"
    for name, value in numbers.gauges():
        yield f"jobs.{name}:{_number(value)}|g"
    for queue, name, value in numbers.queue_gauges():
        yield f"jobs.queue_{name}:{_number(value)}|g{_tags(queue=queue)}"
    for circuit, phase in numbers.circuits.items():
        yield f"jobs.circuit_open:{int(phase != 'closed')}|g{_tags(circuit=circuit)}"


def _number(value: float) -> str:
    return f"{value:.9g}"


def _tags(**tags: str) -> str:
    return "|#" + ",".join(f"{name}:{_UNFIT.sub('_', value)}" for name, value in tags.items())

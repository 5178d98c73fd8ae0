"""A replica takes the place of Redis, and does not know what came last.

1. Jobs are enqueued to a server that has a replica. The replica loses its connection, and misses a second of writes.
2. The server dies, and its address leads to the replica, which refuses to write (READONLY) for a while.
3. The replica is promoted. What it says of runs is of a second ago.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from redis import Redis

from bench.faults.fleet import Hit
from bench.faults.redis_restart import first_start
from bench.faults.trial import Result, Settings, Trial, trial
from bench.processes import family
from jobs.broker.embedded import EmbeddedServer

WORKERS = 4
_READONLY_SECONDS = {"quick": 3.0, "full": 10.0}
_MISSED_SECONDS = 1.0
_CALM_SECONDS = 60.0


class Pair(EmbeddedServer):
    """A server and its replica, at one address: a link in the file system that leads to one of the two sockets."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second = Reachable(folder / "first"), Reachable(folder / "second")
        self.socket = self.first.folder / "address.sock"
        self.process = None

    def start(self) -> None:
        self.first.start()
        self.second.start()
        self._lead_to(self.first)
        self.ask(self.second).replicaof("127.0.0.1", self.first.port)
        deadline = time.monotonic() + 20
        while self.ask(self.second).info("replication").get("master_link_status") != "up":
            if time.monotonic() > deadline:
                raise TimeoutError("the replica did not connect")
            time.sleep(0.05)

    def stop(self) -> None:
        self.first.stop()
        self.second.stop()

    def cut_off(self) -> None:
        """Let the replica hear no more, and stay a replica."""
        self.ask(self.second).replicaof("127.0.0.1", free_port())

    def fail_over(self) -> None:
        """The first dies, and the address leads to the second."""
        self.first.kill()
        self._lead_to(self.second)

    def promote(self) -> None:
        self.ask(self.second).replicaof("NO", "ONE")

    @staticmethod
    def ask(server: EmbeddedServer) -> Redis:
        return Redis.from_url(server.url)

    def _lead_to(self, server: EmbeddedServer) -> None:
        fresh = self.socket.with_suffix(".new")
        fresh.symlink_to(server.socket)
        fresh.replace(self.socket)


class Reachable(EmbeddedServer):
    """A server that a replica can reach, for which a socket does not do."""

    def __init__(self, data_folder: Path) -> None:
        super().__init__(data_folder)
        self.port = free_port()

    @property
    def folder(self) -> Path:
        return self.socket.parent

    def _arguments(self) -> list[str]:
        rest = super()._arguments()[2:]
        return ["--port", str(self.port), "--bind", "127.0.0.1", *rest]


def run(settings: Settings) -> Result:
    """Let it happen once: one server can fail over to its replica once."""
    with trial(settings, workers=WORKERS, limit_seconds=4 * _CALM_SECONDS + settings.jobs / 5, server=Pair) as one:
        pair = one.server
        assert isinstance(pair, Pair)
        one.fleet.keep_running()
        client = one.enqueue(settings.jobs)
        one.wait(lambda: one.side.count_over() >= settings.jobs * 0.2, seconds=_CALM_SECONDS)
        with _none_ending(one) as ended:
            pair.cut_off()
            one.rest(_MISSED_SECONDS)
            pair.fail_over()
            one.hits.append(Hit(time.monotonic(), ()))
            one.rest(_READONLY_SECONDS.get(settings.profile, _READONLY_SECONDS["full"]))
            pair.promote()
            back = time.monotonic()
            one.wait(
                lambda: first_start(one.records(), back) is not None or one.side.count_over() >= settings.jobs,
                seconds=_CALM_SECONDS,
            )
        one.wait(lambda: one.fleet.has_ended(client), seconds=2 * _CALM_SECONDS)
        one.until_over(settings.jobs)
        resumed = first_start(one.records(), back) or 0.0
        return one.result(
            planned=1,
            jobs=settings.jobs,
            broken=[f"{len(ended)} processes of workers ended"] if ended else [],
            figures={"worker_deaths": len(ended), "resumed_max_s": round(resumed, 2)},
            lines=[f"worker processes that ended: {len(ended)}; resumed {resumed:.2f} s after the promotion"],
        )


@contextlib.contextmanager
def _none_ending(trial: Trial) -> Iterator[set[int]]:
    """A set that after the block names processes of workers that ended in it."""
    ended: set[int] = set()
    before = {member for pid in trial.fleet.pids for member in family(pid)}
    yield ended
    ended |= before - {member for pid in trial.fleet.pids for member in family(pid)}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

"""Where a measurement happens: a folder, a Valkey and databases of its own, all gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from bench import ledger
from bench.databases import Database, SQLite, postgresql
from bench.peers import environment
from bench.processes import ROOT, none_left_behind, running
from bench.targets import TARGETS, Target
from jobs.broker.embedded import embedded_server
from jobs.errors import did_you_mean

_PARKED = "bench:parked"
_READY_SECONDS = 30.0
# A worker that has just registered looks after its house before it waits for work.
_HOUSEWORK_SECONDS = 1.0


@dataclass(frozen=True)
class Place:
    """One server and the databases, used by one target after another."""

    folder: Path
    redis_url: str
    redis: Any
    databases: dict[str, Database]
    # Targets that cannot be here, and why.
    left_out: dict[str, str] = field(default_factory=dict)

    def can(self, target: Target) -> bool:
        """Whether the target has what it needs; else it is left out."""
        if target.database not in self.databases:
            self.left_out[target.name] = f"no {target.database} here"
        elif target.needs and not environment.has(target.needs):
            self.left_out[target.name] = f"{target.needs} is not installed; make bench installs it"
        return target.name not in self.left_out

    def renew(self, target: Target) -> None:
        """Nothing is left of the target before."""
        self.redis.flushall()
        # Else a worker first compares the server with the rows, and puts back what `hidden` hides from it.
        self.redis.set("jobs:epoch", self.redis.info("server")["run_id"])
        self.databases[target.database].renew()
        for path in self.ledger.glob("*"):
            path.unlink()

    def ask(self, target: Target, task: str, **options: int) -> Any:
        """What the target's client says after a task, None where it says nothing."""
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        done = subprocess.run(
            [self._python(target), "-m", target.client, task, *target.options, *words],
            cwd=ROOT,
            env=os.environ | self.environment(target),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout) if done.stdout else None

    @contextlib.contextmanager
    def worker(self, target: Target) -> Iterator[subprocess.Popen[bytes]]:
        """The target's worker, registered and waiting."""
        log = self.folder / f"{target.name}.log"
        with running(
            target.worker, environment=self.environment(target), log=log, python=self._python(target)
        ) as process:
            try:
                if target.registers:
                    wait_until(lambda: self.redis.scard("rq:workers"), seconds=_READY_SECONDS, what="the worker")
                else:
                    self.ask(target, "pickup", jobs=1)
                    wait_until(self._has_started_one, seconds=_READY_SECONDS, what="the worker's first job")
                time.sleep(_HOUSEWORK_SECONDS)
                yield process
            except TimeoutError as error:
                raise TimeoutError(f"{target.name}: {error}. Its log ends:\n{log.read_text()[-2000:]}") from error

    def _python(self, target: Target) -> str:
        return environment.python() if target.needs else sys.executable

    def _has_started_one(self) -> bool:
        return any(record.kind == "start" for record in ledger.read(self.ledger))

    @contextlib.contextmanager
    def hidden(self, target: Target) -> Iterator[Callable[[], None]]:
        """What waits is out of the worker's sight until the given function is called."""
        self.redis.rename(target.queue, _PARKED)
        yield lambda: self.redis.rename(_PARKED, target.queue)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def environment(self, target: Target) -> dict[str, str]:
        """What a process needs to take part."""
        all_need = {"REDIS_URL": self.redis_url, ledger.FOLDER: str(self.ledger)}
        if target.needs:
            return all_need
        return all_need | {
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "DATABASE_URL": self.databases[target.database].url,
            "LOG_LEVEL": "WARNING",
        }


@contextlib.contextmanager
def own_place(names: Sequence[str] | None) -> Iterator[tuple[Place, list[Target]]]:
    """A place for the length of the block, and the targets of these names that can be there; None is all.

    Those that cannot be are in its `left_out`. Raises `SystemExit` for a name that is none.
    """
    wanted = _wanted(names)
    needed = {target.database for target in wanted}
    with (
        none_left_behind(),
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name,
        embedded_server() as server,
        postgresql(Path(name)) if "postgresql" in needed else contextlib.nullcontext() as with_postgresql,
    ):
        folder = Path(name)
        (folder / "ledger").mkdir()
        databases: dict[str, Database] = {"sqlite": SQLite(folder)}
        if with_postgresql is not None:
            databases["postgresql"] = with_postgresql
        place = Place(folder, server.url, Redis.from_url(server.url), databases)
        yield place, [target for target in wanted if place.can(target)]


def _wanted(names: Sequence[str] | None) -> list[Target]:
    known = [target.name for target in TARGETS]
    for name in names or ():
        if name not in known:
            raise SystemExit(f'There is no target "{name}".{did_you_mean(name, known)} Name some of {known}.')
    return [target for target in TARGETS if names is None or target.name in names]


def wait_until(holds: Callable[[], object], *, seconds: float, what: str, every: float = 0.02) -> int:
    """Return how often it was looked, when `holds`. Raises `TimeoutError` that names `what`."""
    deadline = time.monotonic() + seconds
    looks = 1
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(every)
        looks += 1
    return looks

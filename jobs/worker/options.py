"""How a worker works: what the command line says, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerOptions:
    """Times are in seconds. `max_jobs` and `max_idle_time` end the worker; None means never."""

    name: str
    queues: tuple[str, ...]
    processes: int = 1
    concurrency: int = 10
    burst: bool = False
    max_jobs: int | None = None
    max_idle_time: float | None = None
    shutdown_timeout: float = 25.0

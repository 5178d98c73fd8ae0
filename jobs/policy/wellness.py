"""What is wrong with a deployment that runs, by what was seen of it. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# The recorder stores what happened within a second, and the relay pushes what is older than five.
LATE_SECONDS = 60.0


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: `id` never changes, `what` is for people."""

    id: str
    what: str


def problems(seen: Mapping[str, Any]) -> list[Problem]:
    """What is wrong by a status, as `jobs_status --json` prints it. What nobody knows is no problem of its own.

    >>> problems({"database": True, "redis": True, "workers": {"live": 0}})
    [Problem(id='no_worker', what='No worker is alive.')]
    """
    return [*_servers(seen), *_workers(seen), *_late(seen), *_incidents(seen)]


def _servers(seen: Mapping[str, Any]) -> Iterator[Problem]:
    if not seen["database"]:
        yield Problem("database", "The database does not answer.")
    if not seen["redis"]:
        yield Problem("redis", "Redis or Valkey does not answer.")
    if seen.get("migrations") is False:
        yield Problem("migrations", "A migration waits to be applied.")


def _workers(seen: Mapping[str, Any]) -> Iterator[Problem]:
    workers = seen.get("workers")
    if workers and not workers["live"]:
        yield Problem("no_worker", "No worker is alive.")
        return
    for queue in seen.get("queues") or ():
        if queue["forecast"] == "no_worker" and queue["depth"]:
            yield Problem("queue_without_worker", f"No worker is on {queue['queue']}, where {queue['depth']:,} wait.")


def _late(seen: Mapping[str, Any]) -> Iterator[Problem]:
    recorder, waits = seen.get("recorder"), seen.get("not_pushed")
    if recorder and recorder["lag_seconds"] > LATE_SECONDS:
        yield Problem("recorder", f"What happened {recorder['lag_seconds']:.0f} s ago is not recorded yet.")
    if waits and waits["oldest_seconds"] > LATE_SECONDS:
        yield Problem(
            "not_pushed", f"{waits['count']:,} runs were not pushed, the oldest for {waits['oldest_seconds']:.0f} s."
        )


def _incidents(seen: Mapping[str, Any]) -> Iterator[Problem]:
    for incident in seen.get("incidents") or ():
        of = f" of {incident['of']}" if incident["of"] else ""
        yield Problem("incident", f"An incident is open: {incident['kind']}{of}.")

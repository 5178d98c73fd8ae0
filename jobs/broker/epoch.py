"""Tells a server that went back in time, or lost everything, from the one that was worked on before.

`jobs:epoch` holds the id of the server's process whose runs were compared with the rows. A wipe removes it; after a
restart, a failover or a restored snapshot it is another server's. Every claim checks it. See `jobs.reconciling`.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.broker import lua


@dataclass(frozen=True)
class Epoch:
    """`server` is the id of the running server, empty where it hides it; `accepted` the one that was compared."""

    server: str
    accepted: str

    @property
    def is_current(self) -> bool:
        """Whether claims are open: the same rule as the claim script's."""
        return self.accepted != "" and self.server in ("", self.accepted)


def look() -> Epoch:
    """The server's epoch. Raises `BrokerUnavailable`."""
    return _told("look", "")[0]


def begin(owner: str) -> Epoch:
    """Say that `owner` compares the runs with the rows from now on. Raises `BrokerUnavailable`."""
    return _told("begin", owner)[0]


def accept(owner: str) -> bool:
    """Open the claims, unless the server was emptied or replaced since `begin`. Raises `BrokerUnavailable`."""
    return _told("accept", owner)[1]


def refuse() -> None:
    """Close the claims until the next `accept`. Raises `BrokerUnavailable`."""
    _told("refuse", "")


def _told(verb: str, owner: str) -> tuple[Epoch, bool]:
    server, accepted, done = lua.run("epoch", [lua.SERVER, verb, owner])
    return Epoch(server.decode(), accepted.decode() if accepted else ""), bool(done)

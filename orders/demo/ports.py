"""Which local ports are free. Holds none of them."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from django.core.management.base import CommandError

HOST = "127.0.0.1"
_NEIGHBOURS = 20


def requested_port(port: int) -> int:
    """The port itself, if it is free. Raises `CommandError` (exit status 2) with the cure if it is not."""
    if not is_free(port):
        raise CommandError(
            f"Port {port} is in use. Stop what listens there, or choose another: make run PORT={port + 1}",
            returncode=2,
        )
    return port


def free_port(preferred: int, *, taken: Iterable[int] = ()) -> int:
    """`preferred`, or the next port after it that is free and not in `taken`."""
    for port in range(preferred, preferred + _NEIGHBOURS):
        if port not in taken and is_free(port):
            return port
    raise CommandError(
        f"Ports {preferred} to {preferred + _NEIGHBOURS - 1} are all in use. Stop what listens there.",
        returncode=2,
    )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections that are fading out do not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True

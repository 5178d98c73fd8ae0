"""Runs one partner in the foreground until it is told to stop."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from .service import Service


def run_until_stopped(service: Service, *, say: Callable[[str], object]) -> None:
    """Serve until SIGTERM or SIGINT. From the main thread only, since signals arrive there."""
    told_to_stop = threading.Event()

    def stop(number: int, frame: Any) -> None:
        told_to_stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with service:
        say(service.addresses)
        told_to_stop.wait()

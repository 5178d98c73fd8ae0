"""The thread of a recording process that watches: looks at the rules of alerts, and sends what is to be told.

It waits for no leadership, no journal and no Redis; whose turn it is stands in a row.
"""

from __future__ import annotations

import os
import threading

from django.db import connections

from jobs import conf
from jobs.alerts.watching import Watch

# What is being sent when the process is asked to stop gets this long.
_LAST_WORDS_SECONDS = 2.0
# A connection that would be idle for longer is closed: another one is made in a moment.
_KEEPS_CONNECTION_SECONDS = 5.0


class Watcher:
    """Runs in a thread of its own until told to stop."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._watch = Watch(f"{conf.host()}/{os.getpid()}")
        # A thread that hangs in a database which does not answer must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; `join` waits for that."""
        self._stopping.set()
        self._watch.wake()

    def join(self, seconds: float) -> None:
        """Wait for its end, if it was started."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.is_set():
            wait = self._watch.turn(wait)
            if self._watch.is_failing or wait > _KEEPS_CONNECTION_SECONDS:
                connections.close_all()
        self._watch.finish(_LAST_WORDS_SECONDS)
        connections.close_all()

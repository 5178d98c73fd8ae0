"""A partner's HTTP door: JSON in, JSON out, on a loopback port, in threads. Knows nothing of what is asked."""

import json
import logging
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000
# A caller that neither reads nor hangs up is let go; every time-out worth having is shorter.
MAX_HOLD_SECONDS = 120.0


@dataclass(frozen=True)
class Request:
    """What was asked. `name` is the last part of the path where the route ends in `/*`."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes
    name: str = ""

    def json(self) -> dict[str, Any]:
        """The body as an object. Refused with `BadRequest`."""
        try:
            data = json.loads(self.body)
        except ValueError as error:
            raise BadRequest("The body must be JSON.") from error
        if not isinstance(data, dict):
            raise BadRequest("The body must be a JSON object.")
        return data

    def limit(self) -> int | None:
        """How many rows `?limit=` asks for; None for all."""
        value = self.query.get("limit", "")
        return int(value) if value.isascii() and value.isdigit() else None


@dataclass(frozen=True)
class Answer:
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class PortTaken(Exception):
    """The port cannot be had, most often because something listens there already."""

    def __init__(self, port: int) -> None:
        super().__init__(port)

    def __str__(self) -> str:
        return f"Port {self.args[0]} cannot be used: something listens there already. Choose another."


class BadRequest(Exception):
    """Answered with 400 and what to send instead."""


class Silence(Exception):
    """Raised by a route that never answers: the caller is held for `seconds`, or until it gives up."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__(seconds)
        self.seconds = MAX_HOLD_SECONDS if seconds is None else seconds


Route = Callable[[Request], Answer]
Routes = Mapping[tuple[str, str], Route]


class Door:
    """1. Made: the port is bound, so that its address is known. 2. `open`: answers, one thread per
    connection. 3. `close`: everybody who waits is let go, every thread has ended when it returns."""

    def __init__(self, routes: Routes, *, port: int) -> None:
        try:
            self._server = _Server(routes, port)
        except OSError as error:
            raise PortTaken(port) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.let_everybody_go()
        self._server.server_close()

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the door is open."""
        self._server.closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close() waits for them
    request_queue_size = 128  # the default of 5 refuses a burst of workers

    def __init__(self, routes: Routes, port: int) -> None:
        self.routes = routes
        self.closing = threading.Event()
        self._open_sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Conversation)

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for the host's full name, which can take seconds.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._open_sockets.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open_sockets.discard(request)
        super().shutdown_request(request)

    def let_everybody_go(self) -> None:
        with self._lock:
            for connection in self._open_sockets:
                connection.shutdown(socket.SHUT_RD)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            logger.exception("conversation broke")

    def answer(self, request: Request) -> Answer:
        route, name = self._route(request)
        if route is None:
            return Answer(404, {"error": "not_found"})
        try:
            return route(Request(**{**vars(request), "name": name}))
        except BadRequest as error:
            return Answer(400, {"error": "invalid_request", "message": str(error)})

    def _route(self, request: Request) -> tuple[Route | None, str]:
        if route := self.routes.get((request.method, request.path)):
            return route, ""
        parent, _, name = request.path.rpartition("/")
        return self.routes.get((request.method, f"{parent}/*")), unquote(name)


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60  # seconds a kept-alive connection may idle
    server: _Server

    def do_GET(self) -> None:
        try:
            answer = self.server.answer(self._read())
        except BadRequest as error:
            self.close_connection = True  # the body was not read
            answer = Answer(400, {"error": "invalid_request", "message": str(error)})
        except Silence as silence:
            self._hold(silence.seconds)
            return
        self._send(answer)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: `_say` has the line worth reading."""

    def _read(self) -> Request:
        address = urlsplit(self.path)
        return Request(
            method=self.command,
            path=address.path.rstrip("/") or "/",
            query=dict(parse_qsl(address.query)),
            headers=self.headers,
            body=self.rfile.read(self._body_bytes()),
        )

    def _body_bytes(self) -> int:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise BadRequest("Send the body with its Content-Length.")
        if int(length) > MAX_BODY_BYTES:
            raise BadRequest(f"The body may have {MAX_BODY_BYTES} bytes.")
        return int(length)

    def _send(self, answer: Answer) -> None:
        body = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        # In one write with the headers, or the second packet waits for the first one's acknowledgement.
        self._headers_buffer: list[bytes]
        self._headers_buffer.append(b"\r\n" + body)
        self.flush_headers()
        self._say(str(answer.status))

    def _hold(self, seconds: float) -> None:
        self.close_connection = True
        self._say("held")
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.server.closing.is_set():
            if self._caller_hung_up(wait_seconds=min(0.05, seconds)):
                return

    def _caller_hung_up(self, *, wait_seconds: float) -> bool:
        readable, _, _ = select.select([self.connection], [], [], wait_seconds)
        return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _say(self, outcome: str) -> None:
        if self.command != "GET":
            logger.info("%s %s %s", self.command, self.path, outcome)

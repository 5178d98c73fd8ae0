"""The mailbox's SMTP door: takes mails on a loopback port and hands them on. Keeps nothing."""

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP, Envelope, Session

from .door import PortTaken
from .modes import Mode


@dataclass(frozen=True)
class Received:
    sender: str
    recipients: list[str]
    raw: bytes


class SmtpDoor:
    """1. Made: the port is bound. 2. `open`: an event loop in a thread answers. 3. `close`: whoever is
    still connected is dropped, and the thread has ended when it returns."""

    def __init__(self, *, port: int, take_mode: Callable[[], Mode], receive: Callable[[Received], None]) -> None:
        try:
            self._socket = socket.create_server(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(port) from error
        # Connections inherit it. asyncio sets it only on sockets it made itself, and without it the lines
        # of one answer wait for each other's acknowledgement: 40 ms a mail.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._desk = _Desk(take_mode, receive)
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()
        self._loop.close()
        self._socket.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._conversation, sock=self._socket)
        await self._closing.wait()
        server.close()
        conversations = asyncio.all_tasks() - {asyncio.current_task()}
        for conversation in conversations:
            conversation.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)

    def _conversation(self) -> SMTP:
        # Named, because the default asks the resolver for this host's name, which can take seconds.
        return SMTP(self._desk, hostname="mailbox.localhost", enable_SMTPUTF8=True, loop=self._loop)


class _Desk:
    """What aiosmtpd calls for each mail. The name of its method is aiosmtpd's."""

    def __init__(self, take_mode: Callable[[], Mode], receive: Callable[[Received], None]) -> None:
        self._take_mode = take_mode
        self._receive = receive

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        mode = self._take_mode()
        if mode.name == "error":
            return "451 The mailbox has been told to fail"
        self._receive(_received(envelope))
        if mode.name == "slow":
            await asyncio.sleep(mode.delay_seconds)
        return "250 OK"


def _received(envelope: Envelope) -> Received:
    assert isinstance(envelope.content, bytes)
    return Received(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content)

"""One partner as a running service: its door, its mode, its counts. What it does is its subclass's."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Self

from .door import Answer, BadRequest, Door, Request, Routes, Silence
from .ledger import Entry, KeyReused, Ledger
from .modes import BadMode, Mode, ModeSwitch, read_mode

DAY_SECONDS = 24 * 3600.0


class Service:
    """1. Made: the port is bound (0 takes a free one), `url` is known. 2. `start`: it answers.
    3. `set_mode`, from here or by HTTP, breaks or heals it. 4. `stop`: nobody is left waiting.
    """

    name: ClassVar[str]
    modes: ClassVar[tuple[str, ...]]

    def __init__(self, *, port: int = 0) -> None:
        self._switch = ModeSwitch()
        self._counts: Counter[str] = Counter()
        self._counts_lock = threading.Lock()
        self._door = Door(self._routes(), port=port)
        self.url = self._door.url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        self._door.open()

    def stop(self) -> None:
        self._door.close()

    @property
    def addresses(self) -> str:
        """One line for whoever started it."""
        return f"{self.name} answers at {self.url}"

    @property
    def mode(self) -> Mode:
        return self._switch.mode

    def set_mode(self, name: str, *, seconds: float | None = None, times: int | None = None) -> None:
        """Behave like this from the next request for work on. Refused with `BadMode`."""
        self._switch.set(read_mode({"mode": name, "seconds": seconds, "times": times}, allowed=self.modes))

    def counts(self) -> dict[str, int]:
        """How requests for work ended since the start: by status, or `held`."""
        with self._counts_lock:
            return dict(self._counts)

    def _routes(self) -> Routes:
        return {
            ("GET", "/healthz"): lambda request: Answer(200, {"status": "ok", "partner": self.name}),
            ("GET", "/mode"): lambda request: Answer(200, self._described_mode()),
            ("PUT", "/mode"): self._put_mode,
        }

    def _described_mode(self) -> dict[str, Any]:
        return {**self.mode.as_dict(), "counts": self.counts()}

    def _put_mode(self, request: Request) -> Answer:
        try:
            self._switch.set(read_mode(request.json(), allowed=self.modes))
        except BadMode as error:
            raise BadRequest(str(error)) from error
        return Answer(200, self._described_mode())

    def _count(self, ending: str) -> None:
        with self._counts_lock:
            self._counts[ending] += 1


class HttpService(Service):
    """A partner that is asked for work over HTTP, and does it as its mode says."""

    error_status: ClassVar[int]

    def _perform(self, request: Request, mode: Mode) -> Answer:
        raise NotImplementedError

    def _work(self, request: Request) -> Answer:
        """Modes govern requests for work only: looking up and telling always answer."""
        try:
            answer = self._under(self._switch.take(), request)
        except Silence:
            self._count("held")
            raise
        except BadRequest:
            self._count("400")
            raise
        self._count(str(answer.status))
        return answer

    def _under(self, mode: Mode, request: Request) -> Answer:
        if refusal := self._refusal(mode):
            return refusal
        answer = self._perform(request, mode)
        if mode.name == "timeout_after":
            raise Silence(mode.seconds)
        if mode.name == "slow":
            self._door.pause(mode.delay_seconds)
        return answer

    def _refusal(self, mode: Mode) -> Answer | None:
        match mode.name:
            case "down":
                raise Silence(0)
            case "timeout_before":
                raise Silence(mode.seconds)
            case "rate_limit" | "rate_limit_date":
                return Answer(429, {"error": "rate_limited"}, {"Retry-After": _retry_after(mode)})
            case "error":
                return Answer(self.error_status, {"error": "internal"})
        return None


class LedgerService(HttpService):
    """A partner that does each request for work once per idempotency key and keeps a ledger of it."""

    plural: ClassVar[str]

    def __init__(self, folder: Path, *, port: int = 0, key_life_seconds: float = DAY_SECONDS) -> None:
        super().__init__(port=port)
        self._ledger = Ledger(folder / f"{self.name}.sqlite3", key_life_seconds=key_life_seconds)

    def stop(self) -> None:
        super().stop()
        self._ledger.close()

    def ledger(self) -> list[Entry]:
        """Everything this partner has done, newest first."""
        return self._ledger.entries()

    def forget_keys(self) -> None:
        """As if the life of every idempotency key had passed."""
        self._ledger.forget_keys()

    def _routes(self) -> Routes:
        return {
            **super()._routes(),
            ("POST", f"/{self.plural}"): self._work,
            ("GET", f"/{self.plural}"): self._look_up,
            ("GET", f"/{self.plural}/*"): self._show,
            ("GET", "/ledger"): self._show_ledger,
        }

    def _once(self, request: Request, order: Mapping[str, Any], make: Callable[[], Entry]) -> Answer:
        try:
            recorded = self._ledger.record(key=_key(request), fingerprint=_fingerprint(order), make=make)
        except KeyReused:
            return Answer(409, {"error": "idempotency_key_reused"})
        if recorded.replayed:
            return Answer(200, recorded.entry, {"Idempotent-Replayed": "true"})
        return Answer(201, recorded.entry)

    def _look_up(self, request: Request) -> Answer:
        found = self._ledger.entries(reference=request.query.get("reference"), limit=request.limit())
        return Answer(200, {self.plural: found})

    def _show(self, request: Request) -> Answer:
        entry = self._ledger.entry(request.name)
        return Answer(200, entry) if entry else Answer(404, {"error": "not_found"})

    def _show_ledger(self, request: Request) -> Answer:
        entries = self._ledger.entries(limit=request.limit())
        return Answer(200, {"count": self._ledger.count(), self.plural: entries})


def required_text(data: Mapping[str, Any], name: str) -> str:
    """A field that must be a text and not blank. Refused with `BadRequest`."""
    value = data.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"`{name}` must be a text that is not empty.")
    return value


def positive_number(data: Mapping[str, Any], name: str) -> int:
    """A field that must be a whole number from 1. Refused with `BadRequest`."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadRequest(f"`{name}` must be a whole number from 1.")
    return value


def _retry_after(mode: Mode) -> str:
    seconds = ceil(mode.delay_seconds)
    if mode.name == "rate_limit":
        return str(seconds)
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= 255:
        raise BadRequest("Send an Idempotency-Key of 1 to 255 characters.")
    return key


def _fingerprint(order: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(order, sort_keys=True).encode()).hexdigest()

"""One HTTP call to a partner, bounded in time. Asks once: whether to ask again is the job's decision."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import urllib3
from django.conf import settings

# A wait longer than a partner's idempotency keys live would be worse than asking early.
LONGEST_WAIT_SECONDS = 24 * 3600.0
# What a 429 without a usable Retry-After is worth.
DEFAULT_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """`body` is empty when the partner did not answer with a JSON object."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def wait_seconds(self) -> float:
        """How long the partner asks to wait."""
        return retry_after_seconds(self.headers.get("Retry-After"), now=datetime.now(UTC))

    @property
    def told_text(self) -> str:
        """What the partner says was wrong, in brief."""
        return str(self.body.get("message") or self.body.get("error") or f"status {self.status}")[:200]


class AskedToWait(Exception):
    """A partner asks to come back in `retry_after` seconds."""

    partner = "The partner"

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.partner} takes no more requests now. Ask again in {self.retry_after:g} s."


class NoAnswer(Exception):
    """The call brought no answer: refused, dropped or out of time. Whether the work was done is unknown."""


def call(
    method: str, url: str, *, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """The partner's answer, whatever its status. Refused with `NoAnswer`.

    Waits `PARTNER_CONNECT_TIMEOUT` and, for each piece of the answer, `PARTNER_READ_TIMEOUT` seconds.
    """
    try:
        response = _pool().request(
            method, url, json=body, headers=headers, timeout=_patience(), retries=False, redirect=False
        )
    except urllib3.exceptions.HTTPError as error:
        raise NoAnswer(f"{method} {url}: {type(error).__name__}") from error
    return Answer(response.status, response.headers, _json_object(response.data))


def retry_after_seconds(value: str | None, *, now: datetime) -> float:
    """The seconds in a Retry-After header, which has a number of seconds or an HTTP date (RFC 9110, 10.2.3).

    >>> retry_after_seconds("7", now=datetime(2026, 1, 1, tzinfo=UTC))
    7.0
    >>> retry_after_seconds("Thu, 01 Jan 2026 00:01:30 GMT", now=datetime(2026, 1, 1, tzinfo=UTC))
    90.0
    >>> retry_after_seconds("soon", now=datetime(2026, 1, 1, tzinfo=UTC))
    30.0
    """
    text = (value or "").strip()
    seconds = float(text) if text.isascii() and text.isdigit() else _seconds_until(text, now)
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


def _seconds_until(text: str, now: datetime) -> float:
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return DEFAULT_WAIT_SECONDS
    # A date that says -0000 comes without a zone; HTTP dates are in GMT.
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()


@cache
def _pool() -> urllib3.PoolManager:
    # As many connections kept per partner as a worker has threads by default.
    return urllib3.PoolManager(maxsize=10)


# A child that used a connection opened before the fork would share its bytes with the parent.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _patience() -> urllib3.Timeout:
    return urllib3.Timeout(connect=settings.PARTNER_CONNECT_TIMEOUT, read=settings.PARTNER_READ_TIMEOUT)


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

"""The ways to tell people: mail, webhook, log, and a function of the project. Each raises what keeps it from that.

None of them asks the database. What a webhook's address says is a secret, so no error tells it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connections
from django.utils.module_loading import import_string

from jobs.alerts import choices
from jobs.alerts.messages import Message
from jobs.errors import JobsError
from jobs.models.alerts import NoticeKind
from jobs.policy import storable
from jobs.policy.redaction import mask_text

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
# Of texts in which a webhook's service looks for marks of its own.
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

Send = Callable[[Message], None]


class NotTold(JobsError):
    """A channel did not take a message; says why, without the channel's address."""


def send(channel: str, message: Message) -> None:
    """Tell people by one channel. Raises whatever keeps it from that."""
    _SEND[channel](message)


def why(error: BaseException) -> str:
    """What an error says, as pages may show it."""
    text = str(error) if isinstance(error, NotTold) else f"{type(error).__name__}: {error}"
    return mask_text(" ".join(storable.text(text).split()))[:500]


def ping() -> None:
    """Tell the service that watches from outside that the rules are looked at."""
    _ask(choices.get().heartbeat_url)


def _mail(message: Message) -> None:
    EmailMessage(message.subject, f"{message.text}\n", to=list(choices.get().mail), headers=_headers(message)).send()


def _headers(message: Message) -> dict[str, str]:
    """Ids by which a mail that is sent twice is known, and the mails of one incident stand together."""
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(" >") or "localhost"
    first = message.told[0].id
    more = f"-and-{len(message.told) - 1}" if len(message.told) > 1 else ""
    headers = {"Message-ID": f"<jobs-{first}{more}@{domain}>"}
    if not more and first.startswith("incident-"):
        headers["References"] = f"<jobs-{'-'.join(first.split('-')[:2])}@{domain}>"
    return headers


def _webhook(message: Message) -> None:
    body = {"text": _escaped(message.text), "incidents": [{"id": each.id, **each.facts} for each in message.told]}
    _ask(choices.get().webhook, json.dumps(body).encode())


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in text)


class _NoRedirects(HTTPRedirectHandler):
    """What is meant for one address goes to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener: OpenerDirector = build_opener(_NoRedirects)


def _ask(url: str, body: bytes | None = None) -> None:
    headers = {"User-Agent": "jobs"} | ({} if body is None else {"Content-Type": "application/json"})
    try:
        request = Request(url, data=body, headers=headers)  # noqa: S310
        # Its status is all that counts: what follows may come drop by drop.
        with _opener.open(request, timeout=TIMEOUT_SECONDS):
            pass
    except HTTPError as error:
        error.close()
        raise NotTold(f"{_host(url)} answered {error.code}") from error
    # Also of an address that is none: what is said of that may have all of it.
    except Exception as error:
        reason = getattr(error, "reason", error)
        raise NotTold(f"{_host(url)} does not answer: {type(reason).__name__}") from error


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "the address"
    except ValueError:
        return "the address"


def _log(message: Message) -> None:
    for each in message.told:
        level = logging.INFO if each.kind == NoticeKind.CLOSED else logging.ERROR
        said = each.text.split("\n")
        logger.log(level, "%s %s", each.headline, " ".join(said[1:2]), extra={"alert": each.facts})


def _hook(message: Message) -> None:
    function = import_string(choices.get().hook)
    try:
        for each in message.told:
            function({"text": each.text, **each.facts})
    finally:
        # It ran in a thread that ends now.
        connections.close_all()


_SEND: Mapping[str, Send] = {"mail": _mail, "webhook": _webhook, "log": _log, "hook": _hook}

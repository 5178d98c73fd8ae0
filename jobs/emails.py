"""E-mails that are sent once: a marker is claimed before the server is asked, and marked sent after it said yes.

A crash between the two leaves a claim of which nobody knows whether the mail went out. `in_doubt` chooses what
happens then: `"send"` sends again, `"ask"` raises `EmailInDoubt` so that the job dies and a person looks, `"look up"`
asks a function of yours, such as one that searches the mail service.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

from django.core.mail import EmailMessage

from jobs import markers
from jobs.errors import EmailInDoubt, JobsError
from jobs.markers import Deed
from jobs.models import SentEmail
from jobs.models.pruning import delete_in_chunks

InDoubt = Literal["send", "ask", "look up"]

_NAME = "send_once"
# Longer than any sending takes, its time limits included; a claim that is older was left by a crash.
_CLAIM_LIFE = timedelta(minutes=2)


def send_once(
    kind: str,
    recipient: str,
    key: object,
    message: EmailMessage | Callable[[], EmailMessage],
    *,
    in_doubt: InDoubt | None = None,
    look_up: Callable[[], bool] | None = None,
    lasting: timedelta | None = None,
) -> bool:
    """Send a mail unless one of this kind, recipient and key was sent; True when this call sent it.

    `message` may be a function that makes it, called only when it is needed. When an earlier sending was cut off,
    `look_up()` says whether the mail went out; what it raises says that it cannot know, and the next attempt looks
    again. Without it, `in_doubt="send"`, the default, sends again, and `"ask"` raises `EmailInDoubt`. After `lasting`
    the same mail may be sent again.

    Raises `PutOffJob` while another run is sending it, `EmailInDoubt` as chosen, and what the mail server's refusal
    raises: then the claim is let go, for the mail is known not to be sent.

    Call it outside a transaction: a rollback would forget a mail that went out.
    """
    deed = _deed(kind, recipient, str(key), markers.doubt(_NAME, in_doubt, look_up, again="send"), lasting)
    claim = markers.claim(deed)
    if claim.marker.is_done:
        return False
    if claim.is_doubtful and look_up is not None and look_up():
        markers.done(deed, claim.marker, {})
        return False
    try:
        made = _made(deed, message)
        made.send()
    except Exception as error:
        if not _may_be_sent(error):
            markers.let_go(deed, claim.marker)
        raise
    markers.done(deed, claim.marker, _facts(made))
    return True


def prune() -> int:
    """Delete the markers whose life is over, in chunks. Returns how many. The others stay."""
    return delete_in_chunks(markers.expired(SentEmail))


def is_anything_prunable() -> bool:
    """Whether `prune` would delete anything."""
    return markers.expired(SentEmail).exists()


def _deed(kind: str, recipient: str, key: str, in_doubt: markers.Doubt, lasting: timedelta | None) -> Deed[SentEmail]:
    markers.check(SentEmail, name=_NAME, lasting=lasting)
    identity = {"kind": kind, "recipient": recipient, "key": key}
    words = f"The e-mail {kind} to {recipient} about {key}"
    return Deed(SentEmail, identity, words, in_doubt, EmailInDoubt, lasting, held=_CLAIM_LIFE)


def _made(deed: Deed[SentEmail], message: EmailMessage | Callable[[], EmailMessage]) -> EmailMessage:
    made = message() if callable(message) else message
    if not made.recipients():
        raise JobsError(f"{deed.words} has no recipient. Give it one, or do not send it.")
    return made


def _facts(made: EmailMessage) -> dict[str, Any]:
    return {"subject": made.subject[:300], "message_id": str(made.extra_headers.get("Message-ID", ""))[:200]}


def _may_be_sent(error: Exception) -> bool:
    """Whether the server may have taken the mail although the call failed: it was cut off, and said neither."""
    if isinstance(error, smtplib.SMTPServerDisconnected | TimeoutError):
        return True
    return isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)

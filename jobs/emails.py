"""E-mails that are sent once: a marker is claimed before the server is asked, and marked sent after it said yes.

A crash between the two leaves a claim of which nobody knows whether the mail went out. `in_doubt` chooses what
happens then: `"send"` sends again, `"ask"` raises `EmailInDoubt` so that the job dies and a person looks.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from django.core.mail import EmailMessage
from django.db import connections, router
from django.utils import timezone

from jobs import outbox
from jobs.context import current_run_id, current_run_or_none
from jobs.errors import EmailInDoubt, JobsError, RetryLater
from jobs.models import SentEmail
from jobs.models.emails import EmailState

InDoubt = Literal["send", "ask"]
# Longer than any sending takes, its time limits included; a claim that is older was left by a crash.
_CLAIM_LIFE = timedelta(minutes=2)


def send_once(
    kind: str,
    recipient: str,
    key: object,
    message: EmailMessage | Callable[[], EmailMessage],
    *,
    in_doubt: InDoubt = "send",
) -> bool:
    """Send a mail unless one of this kind, recipient and key was sent; True when this call sent it.

    `message` may be a function that makes it, called only when it is needed. Raises `RetryLater` while another
    run is sending it, `EmailInDoubt` as chosen, and what the mail server's refusal raises: then the claim is
    let go, for the mail is known not to be sent.

    Call it outside a transaction: a rollback would forget a mail that went out.
    """
    if outbox.is_in_transaction(connections[router.db_for_write(SentEmail)]):
        raise JobsError(
            "send_once was called inside a transaction, whose rollback would forget a mail that went out. "
            "Call it after the block, or enqueue a job that calls it."
        )
    marker = _claim(kind, recipient, str(key), in_doubt)
    if marker is None:
        return False
    try:
        made = message() if callable(message) else message
        if not made.recipients():
            raise JobsError(f"The e-mail {kind} about {key} has no recipient. Give it one, or do not send it.")
        made.send()
    except Exception as error:
        if not _may_be_sent(error):
            SentEmail.objects.filter(pk=marker.pk, claimed_at=marker.claimed_at).delete()
        raise
    SentEmail.objects.filter(pk=marker.pk).update(
        state=EmailState.SENT,
        sent_at=timezone.now(),
        subject=made.subject[:300],
        message_id=str(made.extra_headers.get("Message-ID", ""))[:200],
    )
    return True


def _claim(kind: str, recipient: str, key: str, in_doubt: InDoubt) -> SentEmail | None:
    """The marker, claimed by this call; None when the mail was sent."""
    now = timezone.now()
    facts = {"run": current_run_id(), "claimed_at": now}
    marker, created = SentEmail.objects.get_or_create(kind=kind, recipient=recipient, key=key, defaults=facts)
    if created:
        return marker
    if marker.state == EmailState.SENT:
        return None
    _check_left_by_a_crash(marker, now)
    if in_doubt == "ask":
        raise EmailInDoubt(
            f"The e-mail {kind} to {recipient} about {key} was claimed at {marker.claimed_at:%Y-%m-%d %H:%M:%S} "
            "and nobody knows whether it was sent. Look in the mail server's log, then delete or keep its marker."
        )
    return _take_over(marker, now)


def _check_left_by_a_crash(marker: SentEmail, now: datetime) -> None:
    same_run = marker.run is not None and marker.run == current_run_id()
    run = current_run_or_none()
    # Nobody is at an earlier claim of this run, unless it was taken from a worker that may live.
    may_be_under_way = not same_run or (run is not None and run.robbed)
    age = now - marker.claimed_at
    if may_be_under_way and age < _CLAIM_LIFE:
        raise RetryLater((_CLAIM_LIFE - age).total_seconds(), "another attempt is sending this e-mail")


def _take_over(marker: SentEmail, now: datetime) -> SentEmail:
    ours = SentEmail.objects.filter(pk=marker.pk, state=EmailState.CLAIMED, claimed_at=marker.claimed_at)
    if not ours.update(claimed_at=now, run=current_run_id()):
        raise RetryLater(_CLAIM_LIFE.total_seconds(), "another run has just begun to send this e-mail")
    marker.claimed_at = now
    return marker


def _may_be_sent(error: Exception) -> bool:
    """Whether the server may have taken the mail although the call failed: it was cut off, and said neither."""
    if isinstance(error, smtplib.SMTPServerDisconnected | TimeoutError):
        return True
    return isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)

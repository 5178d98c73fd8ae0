"""Rows as the recorder leaves them, for pages to show."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.models import DeadJob, Effect, FailureCause, JobAttempt, JobRun, RunState, SentEmail
from jobs.models.runs import ENDED_STATES
from jobs.policy import ids

TRACEBACK = 'Traceback (most recent call last):\n  File "shop.py", line 1\nGatewayDown: <b>503</b>\n'
_asked = 0


def a_run(state: str = RunState.SUCCEEDED, *, age: timedelta = timedelta(minutes=5), **facts: Any) -> JobRun:
    """A run that was asked for `age` ago."""
    global _asked
    _asked += 1
    created_at = facts.pop("created_at", timezone.now() - age + timedelta(microseconds=_asked))
    run_id = ids.time_sorted(int(created_at.timestamp() * 1e9) + _asked, secrets.token_bytes(8))
    given = {
        "rq_id": str(run_id),
        "name": "tests.charge",
        "queue": "default",
        "payload": [[42], {"card": "tok_live_4242"}],
        "arguments": {"order_id": 42, "card": "[redacted]"},
        "max_attempts": 3,
        "attempts": 1,
        "ended_at": created_at + timedelta(seconds=2) if state in ENDED_STATES else None,
        "pushed_at": created_at,
    }
    return JobRun.objects.create(id=run_id, state=state, created_at=created_at, **{**given, **facts})


def a_dead_job(
    *, died: timedelta = timedelta(minutes=1), life: int = 0, cause: FailureCause | None = None, **facts: Any
) -> DeadJob:
    """An open burial of a run that failed three times."""
    error = {"error_class": "shop.GatewayDown", "error_message": "<b>503</b> from the gateway"}
    run = a_run(RunState.DEAD, attempts=3, life=life, **error, **facts)
    for number in (1, 2, 3):
        an_attempt(run, number, verdict="bury" if number == 3 else "retry", **error)
    return DeadJob.objects.create(
        run=run,
        life=life,
        cause=cause,
        name=run.name,
        queue=run.queue,
        reason="exhausted",
        died_at=timezone.now() - died,
        error_class=run.error_class,
        error_message=run.error_message,
    )


def an_attempt(run: JobRun, number: int, **facts: Any) -> JobAttempt:
    """A failed attempt of a run."""
    given = {
        "token": secrets.token_hex(8),
        "started_at": run.created_at,
        "ended_at": run.created_at + timedelta(seconds=number),
        "run_ms": 812,
        "worker": "host:1",
        "outcome": "raised",
        "verdict": "retry",
        "traceback": TRACEBACK,
    }
    return JobAttempt.objects.create(run=run, number=number, **{**given, **facts})


def a_cause(**facts: Any) -> FailureCause:
    """A cause of failures that was seen five times, the last time a minute ago."""
    now = timezone.now()
    given = {
        "fingerprint": secrets.token_hex(16),
        "name": "tests.charge",
        "error_class": "shop.GatewayDown",
        "message": "<b>#</b> from the gateway",
        "frames": ["shop.payments charge"],
        "sample": "<b>503</b> from the gateway",
        "count": 5,
        "hours": {str(int(now.timestamp()) // 3600 - ago): ago + 1 for ago in range(2)},
        "first_seen_at": now - timedelta(days=2),
        "last_seen_at": now - timedelta(minutes=1),
        "first_release": "r122",
        "last_release": "r123",
    }
    return FailureCause.objects.create(**{**given, **facts})


def an_effect(**facts: Any) -> Effect:
    """An effect that was made."""
    now = timezone.now()
    given = {"key": "refund-42", "result": {"id": "re_42", "api_key": "sk_live"}, "claimed_at": now, "held_until": now}
    return Effect.objects.create(**{**given, "state": "done", "done_at": now, **facts})


def an_email(**facts: Any) -> SentEmail:
    """An e-mail that was sent."""
    given = {"kind": "confirmation", "recipient": "ada@example.com", "key": "order-42", "subject": "Your order"}
    now = timezone.now()
    return SentEmail.objects.create(
        **{**given, "state": "sent", "claimed_at": now, "held_until": now, "sent_at": now, **facts}
    )

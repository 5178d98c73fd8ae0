"""Runs as the broker gets them, without rows."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.broker.parcels import Message
from jobs.broker.push import push


def message(run_id: str | None = None, *, queue: str = "default", **facts: Any) -> Message:
    given: dict[str, Any] = {
        "run_id": run_id or str(uuid.uuid4()),
        "name": "tests.sample.add",
        "queue": queue,
        "life": 0,
        "payload": [[1, 2], {}],
        "description": "tests.sample.add(left=1, right=2)",
        "created_at": datetime.now(UTC),
        "timeout": 300,
        "durable": True,
    }
    return Message(**{**given, **facts})


def pushed(count: int = 1, *, queue: str = "default", **facts: Any) -> list[str]:
    """The ids of `count` runs that were just pushed."""
    messages = [message(queue=queue, **facts) for _ in range(count)]
    assert push(messages, at=datetime.now(UTC)) == count
    return [one.run_id for one in messages]


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def a_moment_ago() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=1)

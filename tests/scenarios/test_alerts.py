"""Incidents told by real workers to a real mailbox and a real receiver of webhooks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from django.utils import timezone

from jobs.models import AlertCheck, Incident, IncidentNotice
from orders.partners.mailbox import Mailbox
from tests.alerts.receiver import Receiver, receiving
from tests.partners import mailbox
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until

__all__ = ["mailbox"]

pytestmark = pytest.mark.slow
RULES = {"waiting:low": {"limit": 5, "for_seconds": 0}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def choices(receiver: Receiver) -> str:
    told = {"MAIL": ["ops@example.com"], "WEBHOOK": receiver.url, "HEARTBEAT_URL": f"{receiver.url}/beat"}
    return json.dumps({"EVERY_SECONDS": 1, "REMIND_HOURS": 0.001, "RULES": RULES, **told})


def told(receiver: Receiver, what: str) -> int:
    """How often the receiver was told this of the queue."""
    found = [one for post in receiver.posts for one in post["incidents"] if one["rule"] == "waiting:low"]
    return sum(one["notice"] == what for one in found)


def test_several_workers_tell_once_that_it_opened_remind_and_tell_once_that_it_is_over(
    workers: Workers, mailbox: Mailbox, receiver: Receiver
) -> None:
    told_by = {"SAMPLE_ALERTS": choices(receiver), "EMAIL_URL": mailbox.smtp_url}
    sample.add.using(queue="low").enqueue_many([(n, n) for n in range(10)])
    for _ in range(2):
        workers.start("--concurrency", "1", queues=("critical",), **told_by)
    wait_until(lambda: told(receiver, "reminder") >= 1, seconds=60, what="the reminder")
    assert Incident.objects.get(kind="waiting").closed_at is None
    workers.start("--concurrency", "1", queues=("low",), **told_by)
    wait_until(lambda: told(receiver, "closed"), seconds=60, what="the end")
    reminded = Incident.objects.get(kind="waiting").times_told - 1
    opened, over = "Too many runs wait in the queue low: 10 (limit 5)", "Too many runs wait in the queue low"
    expected = {f"[warning] {opened}": 1, f"[still warning] {opened}": reminded, f"[closed] {over}": 1}
    wait_until(lambda: Counter(one["subject"] for one in mailbox.messages()) == expected, what="the mails")
    assert (told(receiver, "opened"), told(receiver, "reminder"), told(receiver, "closed")) == (1, reminded, 1)
    # That a message is out is noted a moment after it is.
    wait_until(
        lambda: not IncidentNotice.objects.filter(sent_at__isnull=True).exists(), what="the notes of what was sent"
    )
    assert receiver.beats >= 3
    assert (timezone.now() - AlertCheck.objects.get().checked_at).total_seconds() < 10

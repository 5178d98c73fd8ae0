"""An incident from its opening to its end, told to real mailboxes and receivers: once, reminded, and over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from jobs.alerts import evaluating, notices
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.models import AlertCheck, Incident, IncidentNotice
from jobs.models.alerts import NoticeKind
from jobs.signals import queue_unhealthy
from orders.partners.mailbox import Mailbox
from tests.alerts import hook
from tests.alerts.conftest import Clock
from tests.alerts.receiver import Receiver

pytestmark = pytest.mark.django_db
CRITICAL = {"waiting:critical": {"limit": 3, "for_seconds": 60}, "no_worker": {"is_on": False}}


def flood(count: int = 4) -> None:
    client().rpush(keys.queue("critical"), *[f"run-{number}" for number in range(count)])


def drain() -> None:
    client().delete(keys.queue("critical"))


def subjects(mailbox: Mailbox) -> list[str]:
    return [message["subject"] for message in reversed(mailbox.messages())]


def incident() -> Incident:
    return Incident.objects.get(kind="waiting")


def test_an_incident_is_told_once_reminded_of_and_told_to_be_over(
    clock: Clock,
    alerts_settings: Callable[..., None],
    mailbox: Mailbox,
    receiver: Receiver,
    told: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    alerts_settings(
        MAIL=["ops@example.com"],
        WEBHOOK=f"{receiver.url}/secret",
        HOOK="tests.alerts.hook.tell",
        LOG=True,
        RULES=CRITICAL,
        SITE_URL="https://shop.example",
        REMIND_HOURS=0.05,
    )
    caplog.set_level(logging.INFO, "jobs.alerts.channels")
    flood()
    clock.look()
    assert not Incident.objects.filter(kind="waiting").exists()
    clock.look(seconds=61)
    assert (incident().value, incident().limit) == (4, 3)
    for _ in range(3):
        clock.look(seconds=30)
    assert len(mailbox.messages()) == len(receiver.posts) == len(told) == 1
    clock.look(minutes=2)
    drain()
    for _ in range(3):
        clock.look(seconds=30)
    assert incident().closed_at is not None
    assert subjects(mailbox) == [
        "[warning] Too many runs wait in the queue critical: 4 (limit 3)",
        "[still warning] Too many runs wait in the queue critical: 4 (limit 3)",
        "[closed] Too many runs wait in the queue critical",
    ]
    assert [alert["notice"] for alert in told] == ["opened", "reminder", "closed"]
    assert [post["incidents"][0]["notice"] for post in receiver.posts] == ["opened", "reminder", "closed"]
    assert [one.levelname for one in caplog.records if one.name == "jobs.alerts.channels"] == ["ERROR", "ERROR", "INFO"]
    first = mailbox.messages()[-1]
    assert first["to"] == ["ops@example.com"]
    assert f"https://shop.example/admin/jobs/incident/{incident().pk}/" in first["text"]
    assert not IncidentNotice.objects.filter(sent_at__isnull=True).exists()


def test_a_broken_channel_stops_no_other_is_tried_again_and_said_on_the_incident(
    clock: Clock, alerts_settings: Callable[..., None], mailbox: Mailbox, receiver: Receiver, told: list[dict[str, Any]]
) -> None:
    alerts_settings(
        MAIL=["ops@example.com"], WEBHOOK=f"{receiver.url}/secret", HOOK="tests.alerts.hook.tell", RULES=CRITICAL
    )
    receiver.status, hook.RAISES = 500, ValueError("token=abc123 is wrong")
    flood()
    clock.look()
    clock.look(seconds=61)
    assert len(mailbox.messages()) == 1
    errors = dict(IncidentNotice.objects.values_list("channel", "error"))
    assert errors == {"mail": "", "webhook": "127.0.0.1 answered 500", "hook": "ValueError: token=[redacted] is wrong"}
    receiver.status, hook.RAISES = 200, None
    clock.send(seconds=3)
    assert not receiver.posts
    clock.send(seconds=10)
    assert len(receiver.posts) == len(told) == len(mailbox.messages()) == 1
    assert set(IncidentNotice.objects.values_list("attempts", "error")) == {(1, ""), (2, "")}


def test_a_webhook_goes_to_no_other_address(
    clock: Clock, alerts_settings: Callable[..., None], receiver: Receiver
) -> None:
    alerts_settings(WEBHOOK=receiver.url, RULES=CRITICAL)
    receiver.status = 302
    flood()
    clock.look()
    clock.look(seconds=61)
    assert IncidentNotice.objects.get().error == "127.0.0.1 answered 302"


def test_what_a_dead_process_was_about_to_send_is_sent_by_another(
    clock: Clock, alerts_settings: Callable[..., None], mailbox: Mailbox
) -> None:
    alerts_settings(MAIL=["ops@example.com"], RULES=CRITICAL)
    flood()
    clock.look()
    clock.move(seconds=61)
    # It claims and dies.
    evaluate(clock)
    assert len(notices.claim("mail")) == 1
    clock.send()
    assert not mailbox.messages()
    clock.send(minutes=2, seconds=1)
    assert len(mailbox.messages()) == 1
    assert IncidentNotice.objects.get().attempts == 2


def test_a_slow_channel_holds_up_neither_the_look_nor_the_others(
    clock: Clock, alerts_settings: Callable[..., None], mailbox: Mailbox, receiver: Receiver
) -> None:
    alerts_settings(MAIL=["ops@example.com"], WEBHOOK=receiver.url, RULES=CRITICAL)
    receiver.hold = threading.Event()
    flood()
    clock.look()
    clock.move(seconds=61)
    evaluate(clock)
    clock.watch.turn()
    while not mailbox.messages():
        clock.watch.turn(0.05)
    assert evaluate(clock)
    assert not receiver.posts
    receiver.hold.set()
    clock.watch.finish(20)
    assert len(receiver.posts) == 1


def test_what_opens_at_once_is_one_message(
    clock: Clock, alerts_settings: Callable[..., None], mailbox: Mailbox
) -> None:
    alerts_settings(MAIL=["ops@example.com"], RULES={"waiting": {"limit": 0, "for_seconds": 0}})
    for queue in ("critical", "low", "mailers"):
        client().rpush(keys.queue(queue), *[f"run-{number}" for number in range(6000)])
    clock.look()
    assert len(mailbox.messages()) == 1
    assert subjects(mailbox)[0].endswith("and 2 more")
    assert IncidentNotice.objects.filter(sent_at__isnull=False).count() == 3


def test_what_is_over_before_it_could_be_told_is_told_once(
    clock: Clock, alerts_settings: Callable[..., None], receiver: Receiver
) -> None:
    alerts_settings(WEBHOOK=receiver.url, RULES=CRITICAL)
    receiver.status = 503
    flood()
    clock.look()
    clock.look(seconds=61)
    drain()
    for _ in range(3):
        clock.look(seconds=30)
    receiver.status = 200
    clock.send(minutes=2)
    assert [post["incidents"][0]["notice"] for post in receiver.posts] == ["closed"]
    assert IncidentNotice.objects.filter(sent_at__isnull=True).get().error == "127.0.0.1 answered 503"


def test_text_of_others_makes_no_mark_in_a_chat(
    clock: Clock, alerts_settings: Callable[..., None], receiver: Receiver
) -> None:
    alerts_settings(WEBHOOK=receiver.url)
    now = clock.now()
    row = Incident.objects.create(
        kind="schedule",
        scope="<!channel> & co",
        severity="warning",
        value=1,
        worst=1,
        limit=0,
        opened_at=now,
        seen_at=now,
    )
    notices.make(row, NoticeKind.OPENED, now)
    clock.send()
    assert "&lt;!channel&gt; &amp; co" in receiver.posts[0]["text"]


def evaluate(clock: Clock) -> bool:
    AlertCheck.objects.update(due_at=clock.now())
    return evaluating.look(by="tests")


def test_listeners_hear_once_that_a_queue_is_not_well(
    clock: Clock, alerts_settings: Callable[..., None], django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[tuple[str, str]] = []

    def listen(sender: str, incident: Incident, **facts: Any) -> None:
        heard.append((sender, Incident.objects.get(pk=incident.pk).kind))

    alerts_settings(RULES=CRITICAL)
    queue_unhealthy.connect(listen)
    try:
        flood()
        for _ in range(3):
            with django_capture_on_commit_callbacks(execute=True):
                clock.look(seconds=61)
    finally:
        queue_unhealthy.disconnect(listen)
    assert heard == [("critical", "waiting")]

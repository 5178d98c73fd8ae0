"""That somebody looks, one at a time, and what happens when nobody can."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from jobs.alerts import channels, evaluating, notices, observing, outbound, watching
from jobs.alerts.outbound import Outbound
from jobs.models import AlertCheck, Incident
from jobs.models.alerts import NoticeKind
from jobs.policy import alert_choices
from jobs.policy.alerting import Reading
from orders.partners.mailbox import Mailbox
from tests.alerts import hook
from tests.alerts.conftest import Clock
from tests.alerts.receiver import Receiver

pytestmark = pytest.mark.django_db


def away(*args: Any, **words: Any) -> Any:
    raise OperationalError("the database is away")


def test_of_two_who_look_at_once_one_does(alerts_settings: Callable[..., None]) -> None:
    assert evaluating.look(by="one")
    assert not evaluating.look(by="other")
    assert AlertCheck.objects.get().checked_by == "one"
    assert 25 < evaluating.seconds_until_due() <= 30


def test_who_lost_the_turn_stores_nothing(
    alerts_settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = evaluating.observing.observe

    def slowly(*args: Any) -> Any:
        monkeypatch.undo()
        AlertCheck.objects.update(due_at=timezone.now())
        assert evaluating.look(by="other")
        return observe(*args)

    monkeypatch.setattr(evaluating.observing, "observe", slowly)
    assert not evaluating.look(by="one")
    assert AlertCheck.objects.get().checked_by == "other"


def test_a_turn_whose_holder_died_is_taken_by_another(clock: Clock, alerts_settings: Callable[..., None]) -> None:
    AlertCheck.objects.create(pk=1, due_at=timezone.now() + evaluating.HELD, turn="dead")
    assert not evaluating.look(by="other")
    clock.move(seconds=evaluating.HELD.total_seconds() + 1)
    assert evaluating.look(by="other")


def test_a_clock_that_was_set_back_stops_no_look(alerts_settings: Callable[..., None]) -> None:
    AlertCheck.objects.create(pk=1, due_at=timezone.now() + timedelta(hours=1))
    assert evaluating.look(by="one")


def test_that_nobody_looked_is_told_by_who_looks_next(
    clock: Clock, alerts_settings: Callable[..., None], mailbox: Mailbox
) -> None:
    alerts_settings(MAIL=["ops@example.com"], RULES={"no_worker": {"is_on": False}})
    clock.look()
    clock.look(minutes=12)
    for _ in range(3):
        clock.look(seconds=30)
    subjects = [message["subject"] for message in reversed(mailbox.messages())]
    assert subjects == [
        "[critical] Nobody looked at the alert rules: 12 min (limit 5 min)",
        "[closed] Nobody looked at the alert rules",
    ]


def test_redis_that_is_away_is_told_and_told_to_be_back(
    clock: Clock, alerts_settings: Callable[..., None], mailbox: Mailbox, settings: Any
) -> None:
    alerts_settings(MAIL=["ops@example.com"], RULES={"no_worker": {"is_on": False}})
    there = settings.RQ_QUEUES
    settings.RQ_QUEUES = {name: {**one, "URL": "redis://127.0.0.1:1/0"} for name, one in there.items()}
    clock.look()
    clock.look(seconds=30)
    settings.RQ_QUEUES = there
    for _ in range(3):
        clock.look(seconds=30)
    subjects = [message["subject"] for message in reversed(mailbox.messages())]
    assert subjects == ["[critical] Redis does not answer", "[closed] Redis does not answer"]


def test_a_process_that_cannot_look_says_so_once_without_a_row(
    clock: Clock,
    alerts_settings: Callable[..., None],
    mailbox: Mailbox,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alerts_settings(MAIL=["ops@example.com"], HEARTBEAT_URL=receiver.url)
    monkeypatch.setattr(watching.evaluating, "look", away)
    clock.watch.turn()
    monkeypatch.setattr(watching, "SILENT_AFTER", timedelta(0))
    for _ in range(3):
        clock.watch.turn()
    monkeypatch.undo()
    clock.watch.finish(20)
    (message,) = mailbox.messages()
    assert message["subject"].startswith("[critical] Alert rules have not been looked at for")
    assert "the database is away" in message["text"]
    assert receiver.beats == 0
    assert not Incident.objects.exists()


def test_what_other_code_opened_is_left_to_it_and_not_for_ever(
    clock: Clock, alerts_settings: Callable[..., None]
) -> None:
    now = timezone.now()
    facts = {"value": 90, "worst": 90, "limit": 60, "opened_at": now, "seen_at": now}
    incident = Incident.objects.create(kind="gone", severity="critical", **facts)
    clock.look()
    assert AlertCheck.objects.get().checked_at
    incident.refresh_from_db()
    assert incident.closed_at is None
    clock.look(hours=2)
    incident.refresh_from_db()
    assert incident.closed_why == "no code that runs knows its rule"


def test_each_look_beats_the_heart(clock: Clock, alerts_settings: Callable[..., None], receiver: Receiver) -> None:
    alerts_settings(HEARTBEAT_URL=receiver.url)
    for beats in (1, 2):
        clock.look(seconds=30)
        assert receiver.beats == beats


def test_the_heart_stops_while_nobody_can_be_told(
    clock: Clock, alerts_settings: Callable[..., None], receiver: Receiver, mailbox: Mailbox
) -> None:
    alerts_settings(HEARTBEAT_URL=receiver.url, MAIL=["ops@example.com"], RULES={"no_worker": {"is_on": False}})
    now = timezone.now()
    facts = {"value": 90, "worst": 90, "limit": 60, "opened_at": now, "seen_at": now, "told_at": now}
    incident = Incident.objects.create(kind="recorder", severity="critical", **facts)
    notices.make(incident, NoticeKind.OPENED, now)
    mailbox.set_mode("error")
    clock.send()
    assert not notices.is_mute()
    clock.move(minutes=11)
    assert notices.is_mute()
    # Another channel told them meanwhile.
    incident.notices.create(channel="webhook", kind=NoticeKind.OPENED, made_at=now, sent_at=now)
    assert not notices.is_mute()


def test_a_channel_that_does_not_come_back_counts_as_failed_and_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "HANGS_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(outbound, "LEFT_BEHIND_MOST", 2)
    out, held = Outbound(), threading.Event()
    for notice in ("one", "two"):
        assert out.is_free("hook")
        out.hand_over("hook", [notice], lambda: assert_set(held))
        time.sleep(0.01)
        (ended,) = out.wait(0)
        assert (ended.what, ended.why) == ([notice], "it did not come back within 0 s")
    # Not for ever: what hangs each time would leave a thread each time.
    assert not out.is_free("hook")
    assert out.is_free("mail")
    held.set()
    while not out.is_free("hook"):
        assert out.wait(1) == []
    monkeypatch.undo()
    out.hand_over("hook", ["three"], lambda: None)
    assert [(each.what, each.why) for each in out.wait(20)] == [(["three"], "")]


def assert_set(held: threading.Event) -> None:
    assert held.wait(20)


def test_what_was_sent_while_the_database_was_away_is_not_sent_again(
    clock: Clock, alerts_settings: Callable[..., None], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts_settings(WEBHOOK=receiver.url, RULES={"no_worker": {"is_on": False}})
    now = timezone.now()
    facts = {"value": 90, "worst": 90, "limit": 60, "opened_at": now, "seen_at": now, "told_at": now}
    incident = Incident.objects.create(kind="recorder", severity="critical", **facts)
    notices.make(incident, NoticeKind.OPENED, now)
    AlertCheck.objects.create(pk=1, due_at=now + timedelta(seconds=30))
    monkeypatch.setattr(watching.notices, "mark_sent", away)
    clock.watch.turn()
    clock.watch.finish(20)
    assert len(receiver.posts) == 1
    clock.watch.turn()
    monkeypatch.undo()
    clock.send(minutes=3)
    assert len(receiver.posts) == 1
    assert incident.notices.get().sent_at is not None


def test_what_no_row_can_hold_ends_no_look(
    clock: Clock, alerts_settings: Callable[..., None], told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts_settings(HOOK="tests.alerts.hook.tell", RULES={"no_worker": {"is_on": False}})
    odd = {"circuit": {"a\0b\ud800" + "x" * 300: Reading(1e6, "held\0 by \ud800")}}
    monkeypatch.setitem(observing._OF_REDIS, "circuits", lambda now: odd)
    hook.RAISES = ValueError("no\0 \ud800")
    clock.look()
    incident = Incident.objects.get(kind="circuit")
    assert (incident.scope[:4], len(incident.scope), incident.detail) == ("ab?x", 200, "held by ?")
    assert incident.notices.get().error == "ValueError: no ?"
    clock.look(seconds=30)
    assert not clock.watch.is_failing


@pytest.mark.parametrize(
    ("error", "said"),
    [(ValueError(""), "ValueError:"), (KeyError("x"), "KeyError: 'x'"), (channels.NotTold("gone"), "gone")],
)
def test_what_kept_a_channel_from_telling_is_said(error: Exception, said: str) -> None:
    assert channels.why(error) == said


@pytest.mark.parametrize(
    "url",
    [
        *("https://127.0.0.1:1/hunter2 a", "https://127.0.0.1:1/a\nhunter2", "https://hunter2\u2100:hunter2@h/"),
        *("https://user:hunter2@127.0.0.1:abc/", "https://[::1/hunter2", "https://127.0.0.1:1/hunter2\u2028x"),
    ],
)
def test_no_address_that_is_none_is_told(url: str, alerts_settings: Callable[..., None]) -> None:
    with pytest.raises(channels.NotTold) as caught:
        channels._ask(url)
    assert "hunter2" not in channels.why(caught.value)
    with pytest.raises(ValueError, match="WEBHOOK") as refused:
        alert_choices.read({"WEBHOOK": url})
    assert "hunter2" not in str(refused.value)


def test_a_webhook_that_answers_drop_by_drop_holds_up_nobody(alerts_settings: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=drip, args=(server,), daemon=True)
        answering.start()
        channels._ask(f"http://127.0.0.1:{server.getsockname()[1]}/")
        answering.join(20)
        assert not answering.is_alive()


def drip(server: socket.socket) -> None:
    """Answers that all is well, and that there is more, and sends that byte by byte until nobody hears it."""
    asked, _ = server.accept()
    with asked, contextlib.suppress(OSError):
        asked.recv(10_000)
        asked.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
        for _ in range(9000):
            asked.sendall(b"x")
            time.sleep(0.02)

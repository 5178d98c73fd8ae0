"""A mail is sent once: under a race, after a refusal, after a crash."""

from __future__ import annotations

import importlib
import smtplib
import socketserver
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.mail import EmailMessage
from django.db import connection
from django.utils import timezone

from jobs.emails import send_once
from jobs.errors import JobsError, PutOffJob
from jobs.models import SentEmail
from jobsite.mail import mail_settings
from tests.at_once import at_once

transactional = pytest.mark.django_db(transaction=True)


class Desk(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as a client needs, and behaves as the server's `mode` says."""

    server: Post

    def handle(self) -> None:
        self.say("220 post")
        while line := self.rfile.readline().decode().strip().upper():
            if line.startswith("RCPT") and self.server.mode == "refuse":
                self.say("550 no such person")
            elif line == "DATA":
                if not self.take():
                    return
            else:
                self.say("221 bye" if line == "QUIT" else "250 ok")

    def take(self) -> bool:
        if self.server.mode == "full":
            self.say("452 no room")
            return True
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.decode())
        self.server.mails.append("".join(lines))
        if self.server.mode == "hang up":
            return False
        time.sleep(self.server.slow)
        self.say("250 taken")
        return True

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


class Post(socketserver.ThreadingTCPServer):
    """A mail server: `mode` is ok, refuse, full or hang up; `slow` is seconds before it says yes."""

    allow_reuse_address = True
    request_queue_size = 50
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.mode = "ok"
        self.slow = 0.0
        self.mails: list[str] = []


def send_to(port: int, settings) -> None:
    for name, value in mail_settings(f"smtp://127.0.0.1:{port}").items():
        setattr(settings, name, value)


@pytest.fixture
def post(settings) -> Iterator[Post]:
    with Post() as server:
        send_to(server.server_address[1], settings)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def letter(subject: str = "Your order 17") -> EmailMessage:
    return EmailMessage(subject, "Thank you.", to=["ann@example.com"])


def send(key: object = 17, message=letter, **choices) -> bool:
    return send_once("confirmation", "ann@example.com", key, message, **choices)


@transactional
def test_a_mail_is_sent_and_its_marker_says_so(post):
    assert send() is True
    (mail,) = post.mails
    assert "Subject: Your order 17" in mail
    marker = SentEmail.objects.get()
    assert (marker.state, marker.subject, marker.key) == ("sent", "Your order 17", "17")
    assert marker.claimed_at <= marker.sent_at


@transactional
def test_a_second_call_sends_nothing_and_makes_no_message(post):
    send()

    def make() -> EmailMessage:
        raise AssertionError("made in vain")

    assert send(message=make) is False
    assert len(post.mails) == 1


@transactional
def test_another_kind_recipient_or_key_is_another_mail(post):
    assert send(17)
    assert send(18)
    assert send_once("reminder", "ann@example.com", 17, letter)
    assert send_once("confirmation", "bob@example.com", 17, letter)
    assert len(post.mails) == 4


@transactional
def test_a_message_that_is_made_already_will_do(post):
    assert send(message=letter("ready"))
    assert "Subject: ready" in post.mails[0]


@transactional
def test_twenty_at_once_send_one(post):
    post.slow = 0.2
    answers = at_once(lambda _: send(), range(20), refusals=PutOffJob)
    assert len(post.mails) == 1
    assert answers.count(True) == 1
    assert SentEmail.objects.get().state == "sent"


@transactional
@pytest.mark.parametrize(
    ("mode", "error"), [("refuse", smtplib.SMTPRecipientsRefused), ("full", smtplib.SMTPDataError)]
)
def test_a_refusal_lets_the_claim_go(post, mode, error):
    post.mode = mode
    with pytest.raises(error):
        send()
    assert not SentEmail.objects.exists()
    post.mode = "ok"
    assert send() is True


@transactional
def test_a_server_that_is_not_there_lets_the_claim_go(post, settings):
    send_to(1, settings)
    with pytest.raises(ConnectionRefusedError):
        send()
    assert not SentEmail.objects.exists()
    send_to(post.server_address[1], settings)
    assert send() is True


@transactional
def test_a_server_that_hangs_up_after_the_mail_leaves_a_doubt(post):
    post.mode = "hang up"
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send()
    assert len(post.mails) == 1
    assert SentEmail.objects.get().state == "claimed"
    post.mode = "ok"
    with pytest.raises(PutOffJob):
        send()


@pytest.mark.django_db(transaction=True)
def test_a_mail_to_nobody_is_refused_and_not_marked_as_sent():
    with pytest.raises(JobsError, match="no recipient"):
        send_once("welcome", "grace@example.com", 1, EmailMessage("Welcome", "Hello", to=[]))
    assert not SentEmail.objects.exists()


@pytest.mark.django_db
def test_claims_from_before_the_hold_was_stored_are_held_for_two_minutes():
    now = timezone.now()
    marker = SentEmail.objects.create(kind="welcome", recipient="ann@example.com", claimed_at=now, held_until=now)
    migration = importlib.import_module("jobs.migrations.0012_lives_of_markers")
    migration.hold_claims(apps, SimpleNamespace(connection=connection))
    marker.refresh_from_db()
    assert marker.held_until - marker.claimed_at == timedelta(minutes=2)

"""The mailbox: real SMTP in, HTTP out."""

import smtplib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage as PlainMessage
from pathlib import Path

import pytest
from django.core.mail import EmailMultiAlternatives, send_mail

from orders.calling import call
from orders.partners.letters import read_letter
from orders.partners.mailbox import Mailbox


def send(subject: str = "Your order", text: str = "Thank you.") -> None:
    send_mail(subject, text, "Shop <shop@example.com>", ["ada@example.com"])


def test_a_mail_of_djangos_arrives(mailbox: Mailbox) -> None:
    send("Grüße aus dem Lädchen", "Danke für 3 Äpfel für 2 €")
    (mail,) = mailbox.messages()
    assert mail["subject"] == "Grüße aus dem Lädchen"
    assert mail["from"] == "Shop <shop@example.com>"
    assert mail["to"] == ["ada@example.com"]
    assert mail["text"].strip() == "Danke für 3 Äpfel für 2 €"
    assert mail["html"] == ""


def test_text_and_html_are_told_apart(mailbox: Mailbox) -> None:
    message = EmailMultiAlternatives("Both", "plain words", to=["ada@example.com"])
    message.attach_alternative("<p>rich <b>words</b></p>", "text/html")
    message.attach("bill.txt", "attached words", "text/plain")
    message.send()
    (mail,) = mailbox.messages()
    assert (mail["text"].strip(), mail["html"].strip()) == ("plain words", "<p>rich <b>words</b></p>")


def test_the_newest_mail_comes_first_and_each_can_be_read_alone(mailbox: Mailbox) -> None:
    send("first")
    send("second")
    answer = call("GET", f"{mailbox.url}/messages")
    assert [mail["subject"] for mail in answer.body["messages"]] == ["second", "first"]
    newest = answer.body["messages"][0]
    assert call("GET", f"{mailbox.url}/messages/{newest['id']}").body == newest
    assert call("GET", f"{mailbox.url}/messages?limit=1").body == {"count": 2, "messages": [newest]}
    assert call("GET", f"{mailbox.url}/messages/nothing").status == 404


def test_mails_can_be_thrown_away(mailbox: Mailbox) -> None:
    send()
    assert call("DELETE", f"{mailbox.url}/messages").status == 200
    assert mailbox.messages() == []


def test_a_mailbox_told_to_fail_refuses_for_now(mailbox: Mailbox) -> None:
    mailbox.set_mode("error", times=1)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send()
    assert refused.value.smtp_code == 451
    assert mailbox.messages() == []
    send()
    assert len(mailbox.messages()) == 1
    assert mailbox.counts() == {"451": 1, "250": 1}


def test_a_slow_mailbox_keeps_no_other_sender_waiting(mailbox: Mailbox) -> None:
    mailbox.set_mode("slow", seconds=0.5, times=1)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(send, "slow")
        _until(lambda: len(mailbox.messages()) == 1)
        send("quick")
        assert not slow.done()


def test_a_mailbox_stops_while_a_sender_waits(mailbox: Mailbox) -> None:
    mailbox.set_mode("slow", seconds=30)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(send)
        _until(lambda: len(mailbox.messages()) == 1)
        begun = time.monotonic()
        mailbox.stop()
        assert time.monotonic() - begun < 1
        assert isinstance(waiting.exception(timeout=5), OSError)


def test_mails_are_kept_over_a_restart(tmp_path: Path) -> None:
    message = PlainMessage()
    message["Subject"] = "kept"
    with Mailbox(tmp_path) as mailbox, smtplib.SMTP("127.0.0.1", mailbox.smtp_port) as sender:
        sender.send_message(message, "shop@example.com", ["ada@example.com"])
    with Mailbox(tmp_path) as mailbox:
        assert [mail["subject"] for mail in mailbox.messages()] == ["kept"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Content-Type: text/plain; charset=klingon\r\n\r\nn\xfcq", "n\xfcq"),
        (b"Content-Type: text/plain; charset=utf-8\r\n\r\nbroken \xff", "broken \ufffd"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=", "Hello"),
        (b"Content-Type: image/png\r\n\r\n\x89PNG", ""),
        (b"", ""),
        (b"\r\n\r\nno headers", "\nno headers"),
    ],
)
def test_an_odd_mail_is_read_as_far_as_it_can_be(raw: bytes, text: str) -> None:
    assert read_letter(raw).text == text


def _until(claim: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "It never came true."
        time.sleep(0.01)

"""Issues of the newsletter: to each reader once, to nobody who has left, in slices with a pause."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs.models import Batch, JobRun
from jobs.testing import drain
from orders import issues
from orders.jobs import deliver_issue, send_issue, send_weekly_issue
from orders.models import Customer, Issue, Newsletter
from orders.partners.mailbox import Mailbox
from tests.orders import history


@pytest.fixture
def editor(db: None) -> Client:
    """Somebody who may send the newsletter."""
    user = User.objects.create_user("ed", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="send_issue"))
    client = Client()
    client.force_login(user)
    return client


def an_issue(**facts: Any) -> Issue:
    return issues.write(**{"subject": "May", "text": "New saws.", "username": "ed", "is_ready": False} | facts)


def send(issue: Issue) -> bool:
    return issues.send(issue.pk, on_sending=send_issue.enqueue)


def ask_only(issue: Issue) -> None:
    """Have the letters asked for, and none sent."""
    issues.send(issue.pk, on_sending=send_issue.using(queue="default").enqueue)
    drain(queues=["default"])


def drain_all() -> None:
    """Also what starts later, as slices do."""
    while drain(due=True).counts:
        pass


@pytest.mark.django_db
def test_each_reader_gets_an_issue_once_and_those_who_are_no_readers_get_none(mailbox: Mailbox) -> None:
    history.readers(5)
    Customer.objects.filter(email="reader-1@example.com").update(newsletter=Newsletter.NONE)
    issue = an_issue()
    assert send(issue)
    assert not send(issue)
    drain_all()
    told = Counter(address for mail in mailbox.messages() for address in mail["to"])
    assert told == Counter(f"reader-{turn}@example.com" for turn in (0, 2, 3, 4))
    issue.refresh_from_db()
    assert (issue.sent, issue.left, issue.failed) == (4, 0, 0)
    assert issue.finished_at is not None


@pytest.mark.django_db
def test_who_leaves_before_it_is_their_turn_gets_none(mailbox: Mailbox) -> None:
    history.readers(3)
    issue = an_issue()
    ask_only(issue)
    Customer.objects.filter(email="reader-1@example.com").update(newsletter=Newsletter.LEFT)
    drain_all()
    assert len(mailbox.messages()) == 2
    issue.refresh_from_db()
    assert (issue.sent, issue.left) == (2, 1)
    assert Batch.objects.get().state == "succeeded"


@pytest.mark.django_db
def test_slices_start_one_after_the_other(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issues, "SLICE_READERS", 2)
    settings.NEWSLETTER_SLICE_SECONDS = 30
    history.readers(6)
    ask_only(an_issue())
    due = sorted(run.due_at or run.created_at for run in JobRun.objects.filter(name="orders.deliver_issue"))
    assert len(due) == 6
    assert due[2] - due[1] > timedelta(seconds=25)
    assert due[4] - due[3] == timedelta(seconds=30)


@pytest.mark.django_db
def test_asking_that_is_cut_off_goes_on_and_asks_for_nobody_twice(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issues, "SLICE_READERS", 2)
    history.readers(5)
    issue = an_issue()
    really = issues.slices

    def cut_off(issue_id: int) -> Any:
        yield next(really(issue_id))
        # Joined and left meanwhile, so the places where slices end are other ones.
        Customer.objects.filter(email="reader-3@example.com").update(newsletter=Newsletter.LEFT)
        raise OSError("cut off")

    monkeypatch.setattr(issues, "slices", cut_off)
    ask_only(issue)
    monkeypatch.setattr(issues, "slices", really)
    drain_all()
    asked = Counter(JobRun.objects.filter(name="orders.deliver_issue").values_list("arguments__customer_id", flat=True))
    assert set(asked.values()) == {1}
    assert len(asked) == len(mailbox.messages()) == 4
    issue.refresh_from_db()
    assert (issue.asked, issue.sent) == (4, 4)


@pytest.mark.django_db
def test_a_letter_that_is_delivered_twice_is_sent_once(mailbox: Mailbox) -> None:
    history.readers(1)
    issue = an_issue()
    send(issue)
    drain_all()
    deliver_issue.function(issue.pk, Customer.objects.get().pk)
    assert len(mailbox.messages()) == 1


@pytest.mark.django_db
def test_a_letter_greets_and_lets_its_reader_leave(mailbox: Mailbox, client: Client) -> None:
    history.readers(1)
    send(an_issue(subject="Saws & more", text="New saws.\n\n<b>Sharp</b>"))
    drain_all()
    (mail,) = mailbox.messages()
    assert mail["subject"] == "Saws & more"
    assert "Dear Reader 0," in mail["text"]
    assert "&lt;b&gt;Sharp" in mail["html"]
    found = re.search(r"http://[^/]+(/newsletter/leave/\S+)", mail["text"])
    assert found
    client.post(found[1])
    assert Customer.objects.get().newsletter == Newsletter.LEFT


@pytest.mark.django_db
def test_the_weekly_mailing_sends_the_first_that_is_ready_and_no_draft(mailbox: Mailbox) -> None:
    history.readers(1)
    draft, first, second = an_issue(), an_issue(is_ready=True, subject="One"), an_issue(is_ready=True, subject="Two")
    send_weekly_issue.enqueue()
    drain_all()
    assert [mail["subject"] for mail in mailbox.messages()] == ["One"]
    for issue in (draft, first, second):
        issue.refresh_from_db()
    assert [bool(issue.sending_at) for issue in (draft, first, second)] == [False, True, False]


@pytest.mark.django_db
def test_a_weekly_mailing_without_an_issue_does_nothing() -> None:
    send_weekly_issue.enqueue()
    assert drain().counts == {"done": 1}


def test_an_editor_writes_changes_and_sends_an_issue(editor: Client, mailbox: Mailbox) -> None:
    history.readers(2)
    page = editor.post(reverse("staff_issue_write"), {"subject": "June", "text": "Planes."}, follow=True)
    issue = Issue.objects.get()
    assert "goes out when somebody sends it" in page.content.decode()
    editor.post(
        reverse("staff_issue_rewrite", args=[issue.pk]), {"subject": "July", "text": "Planes.", "is_ready": "on"}
    )
    assert "goes to 2 readers" in editor.get(reverse("staff_issue_send", args=[issue.pk])).content.decode()
    editor.post(reverse("staff_issue_send", args=[issue.pk]))
    assert "On its way" in editor.get(reverse("staff_issue_progress", args=[issue.pk])).content.decode()
    drain_all()
    page = editor.get(reverse("staff_issue_progress", args=[issue.pk]))
    assert "2 of 2 letters, 100 %" in page.content.decode()
    assert {mail["subject"] for mail in mailbox.messages()} == {"July"}


def test_what_is_on_its_way_keeps_its_words(editor: Client) -> None:
    issue = an_issue()
    send(issue)
    editor.post(reverse("staff_issue_rewrite", args=[issue.pk]), {"subject": "Other", "text": "Other"})
    issue.refresh_from_db()
    assert issue.subject == "May"


@pytest.mark.parametrize("name", ["staff_issue_write", "staff_issue_rewrite", "staff_issue_send"])
def test_only_who_may_writes_and_sends(client: Client, name: str, db: None) -> None:
    issue = an_issue()
    client.force_login(User.objects.create_user("olga", is_staff=True))
    address = reverse(name, args=[] if name.endswith("write") and "re" not in name else [issue.pk])
    assert client.get(address).status_code == client.post(address).status_code == 403
    assert client.get(reverse("staff_issue", args=[issue.pk])).status_code == 200
    issue.refresh_from_db()
    assert issue.sending_at is None


@pytest.mark.django_db
def test_what_came_of_an_issue_stays_when_its_batch_is_gone(mailbox: Mailbox) -> None:
    history.readers(2)
    issue = an_issue()
    send(issue)
    drain_all()
    JobRun.objects.all().delete()
    Batch.objects.all().delete()
    issue.refresh_from_db()
    now = issues.standing(issue)
    assert (now.total, now.sent, now.done, now.batch) == (2, 2, 2, None)


@pytest.mark.django_db
def test_letters_that_failed_are_said_in_words(editor: Client) -> None:
    issue = an_issue()
    Issue.objects.filter(pk=issue.pk).update(sending_at=timezone.now(), finished_at=timezone.now(), failed=3)
    assert "sent, 3 failed</span>" in editor.get(reverse("staff_issues")).content.decode()

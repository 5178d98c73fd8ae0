"""Sign-up to the newsletter: the service, its jobs and its pages, against the list provider over HTTP."""

import re
from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import circuits
from jobs.errors import LockHeld
from jobs.models import JobRun
from jobs.testing import drain
from orders import lists, newsletter, subscribing
from orders.jobs import SUBSCRIBING, subscribe, unsubscribe
from orders.models import Customer, Newsletter
from orders.partners.lists import Lists
from orders.partners.mailbox import Mailbox
from tests.orders.making import a_product, an_order, asked

pytestmark = pytest.mark.django_db


def a_reader(email: str = "ada@example.com", **facts: Any) -> Customer:
    return Customer.objects.create(email=email, name="Ada", **({"newsletter": Newsletter.ASKED} | facts))


def state_of(customer: Customer) -> str:
    customer.refresh_from_db()
    return customer.newsletter


def test_who_signs_up_is_kept_and_asked_for_once() -> None:
    customer = subscribing.sign_up(" Ada@Example.com ")
    assert subscribing.sign_up("ada@example.com") == customer
    assert (customer.email, customer.newsletter, customer.name) == ("ada@example.com", "asked", "")
    assert asked() == ["subscribe"]


def test_a_customer_who_asked_is_put_on_the_list_and_told(list_provider: Lists) -> None:
    reader = a_reader()
    subscribe(reader.pk)
    assert state_of(reader) == "on_list"
    assert [member["address"] for member in list_provider.ledger()] == ["ada@example.com"]
    assert asked() == ["send_newsletter_welcome"]


def test_already_on_the_list_is_fine(list_provider: Lists) -> None:
    lists.add(address="ada@example.com", name="Ada")
    reader = a_reader()
    subscribe(reader.pk)
    assert state_of(reader) == "on_list"
    assert len(list_provider.ledger()) == 1


def test_a_refused_address_ends_the_run_and_is_kept_with_the_providers_words(list_provider: Lists) -> None:
    reader = subscribing.sign_up("ada@example.invalid")
    assert drain().counts == {"done": 1}
    assert state_of(reader) == "invalid"
    assert reader.newsletter_problem == "No mail server takes mail for example.invalid."
    drain(due=True)
    assert list_provider.counts() == {"422": 1}


def test_a_refused_address_may_be_asked_for_again() -> None:
    reader = a_reader(newsletter=Newsletter.INVALID, newsletter_problem="No.")
    subscribing.sign_up(reader.email)
    assert state_of(reader) == "asked"
    assert reader.newsletter_problem == ""


@pytest.mark.usefixtures("mailbox")
def test_a_broken_provider_is_asked_again_and_has_them_once(list_provider: Lists) -> None:
    list_provider.set_mode("error", times=3)
    reader = subscribing.sign_up("ada@example.com")
    assert drain().counts == {"retry": 1}
    assert state_of(reader) == "asked"
    drain(due=True)
    assert state_of(reader) == "on_list"
    assert list_provider.counts() == {"503": 3, "201": 1}


@pytest.mark.usefixtures("mailbox")
@pytest.mark.parametrize("mode", ["rate_limit", "rate_limit_date"])
def test_a_rate_limit_is_waited_for_and_burns_no_attempt(list_provider: Lists, mode: str) -> None:
    list_provider.set_mode(mode, seconds=30, times=2 * SUBSCRIBING.attempts)
    reader = subscribing.sign_up("ada@example.com")
    asked_at = timezone.now()
    drain()
    run = JobRun.objects.get(name="orders.subscribe")
    assert run.attempts == 0
    assert timedelta(seconds=28) < run.due_at - asked_at < timedelta(seconds=60)
    while state_of(reader) == "asked":
        drain(due=True)
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("succeeded", 1)
    assert list_provider.counts() == {"429": 2 * SUBSCRIBING.attempts, "201": 1}


@pytest.mark.usefixtures("mailbox")
def test_a_provider_that_is_down_is_left_alone_until_one_run_finds_it_up(list_provider: Lists) -> None:
    list_provider.set_mode("down")
    readers = [subscribing.sign_up(f"reader-{turn}@example.com") for turn in range(12)]
    assert drain().counts == {"retry": 5, "put off": 7}
    assert list_provider.counts() == {"held": 5}
    list_provider.set_mode("ok")
    circuits.force_close("list_provider", actor="ann", reason="they are back")
    drain(due=True)
    assert {state_of(reader) for reader in readers} == {"on_list"}
    assert len(list_provider.ledger()) == 12


@pytest.mark.usefixtures("list_provider")
def test_who_did_not_ask_is_not_put_on_the_list(list_provider: Lists) -> None:
    subscribe(a_reader(newsletter=Newsletter.NONE).pk)
    subscribe(404)
    assert list_provider.ledger() == []


def test_who_leaves_is_taken_off(list_provider: Lists, mailbox: Mailbox) -> None:
    reader = subscribing.sign_up("ada@example.com")
    drain()
    subscribing.leave(reader)
    drain()
    assert (state_of(reader), list_provider.ledger()) == ("left", [])
    assert len(mailbox.messages()) == 1


def test_who_leaves_while_the_provider_is_asked_is_not_left_on_the_list(
    list_provider: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = a_reader()
    add = lists.add

    def add_while_they_leave(**member: str) -> None:
        add(**member)
        subscribing.leave(reader)

    monkeypatch.setattr(lists, "add", add_while_they_leave)
    subscribe(reader.pk)
    assert (state_of(reader), list_provider.ledger()) == ("left", [])
    assert asked() == ["unsubscribe"]


def test_leaving_a_list_one_is_not_on_asks_for_nothing() -> None:
    assert not subscribing.leave(a_reader(newsletter=Newsletter.NONE))
    assert asked() == []


def test_a_reader_who_buys_gets_a_name_and_a_welcome_and_a_buyer_may_ask_for_the_newsletter() -> None:
    reader = subscribing.sign_up("grace@example.com")
    an_order(a_product(), newsletter=True)
    reader.refresh_from_db()
    assert reader.name == "Grace Mason"
    assert asked().count("send_welcome_email") == asked().count("subscribe") == 1


def test_the_page_tells_a_reader_how_it_stands(client: Client, list_provider: Lists) -> None:
    page = client.post(reverse("newsletter"), {"email": "ada@example.invalid"}, follow=True)
    assert "We are telling our list provider" in page.content.decode()
    drain()
    assert "No mail server takes mail" in client.get(reverse("newsletter_state")).content.decode()


def test_the_page_tells_nothing_about_an_address_that_this_browser_did_not_name(client: Client) -> None:
    a_reader()
    assert b"ada@example.com" not in client.get(reverse("newsletter")).content
    assert b"ada@example.com" not in client.get(reverse("newsletter_state")).content


def test_a_senseless_address_comes_back_marked(client: Client) -> None:
    page = client.post(reverse("newsletter"), {"email": "ada"})
    assert b'aria-invalid="true"' in page.content
    assert not Customer.objects.exists()


def test_the_letters_link_leaves_after_asking(client: Client, list_provider: Lists, mailbox: Mailbox) -> None:
    reader = subscribing.sign_up("ada@example.com")
    drain()
    (letter,) = mailbox.messages()
    found = re.search(r"http://[^/]+(/newsletter/leave/\S+)", letter["text"])
    assert found
    client.get(found[1])
    assert state_of(reader) == "on_list"
    assert b"You are off the list" in client.post(found[1], follow=True).content
    assert state_of(reader) == "left"


def test_a_link_that_nobody_signed_leads_nowhere(client: Client) -> None:
    assert client.get(reverse("newsletter_leave", args=["1:forged"])).status_code == 404


def test_the_admin_shows_who_was_refused_and_why(admin_client: Client) -> None:
    a_reader(newsletter=Newsletter.INVALID, newsletter_problem="No mail server takes mail there.")
    page = admin_client.get(reverse("admin:orders_customer_changelist") + "?newsletter__exact=invalid").content
    assert b"No mail server takes mail there." in page
    assert User.objects.count() == 1


def test_a_token_is_of_one_customer() -> None:
    reader = a_reader()
    assert newsletter.customer_of(newsletter.leaving_token(reader)) == reader
    assert newsletter.customer_of("nonsense") is None


def test_who_comes_back_while_they_are_taken_off_ends_on_the_list(
    list_provider: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = a_reader(newsletter=Newsletter.LEFT)
    lists.add(address=reader.email, name="Ada")
    remove = lists.remove

    def slowly(address: str) -> None:
        subscribing.sign_up(address)
        with pytest.raises(LockHeld):
            # As in another process, which does not have the lock.
            Context().run(subscribe, reader.pk)
        remove(address)

    monkeypatch.setattr(lists, "remove", slowly)
    unsubscribe(reader.pk)
    subscribe(reader.pk)
    assert state_of(reader) == "on_list"
    assert [member["address"] for member in list_provider.ledger()] == [reader.email]

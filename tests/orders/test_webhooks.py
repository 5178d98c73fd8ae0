"""Webhooks of the payment partner: who is let in, what is stored, and that it counts once."""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from jobs.testing import drain
from orders import payments, webhooks
from orders.calling import call
from orders.jobs import charge_order, process_webhook
from orders.models import EventState, Order, Payment, PaymentEvent
from orders.partners.events import Post, signature
from orders.partners.gateway import Gateway
from tests.at_once import at_once
from tests.demo.watching import wait_until
from tests.orders.events import SECRET, an_event, post
from tests.orders.making import a_product, an_order, asked

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.PAYMENTS_WEBHOOK_SECRET = SECRET


@pytest.fixture
def payment(order: Order) -> Payment:
    return order.payments.get()


@pytest.fixture
def telling_gateway(tmp_path: Path, settings: Any, live_server: Any) -> Iterator[Gateway]:
    """A gateway that sends its events to the shop, over HTTP."""
    with Gateway(tmp_path, post=Post(live_server.url + reverse("payments_webhook"), SECRET)) as running:
        settings.PAYMENTS_URL = running.url
        yield running


def process(*events: dict[str, Any]) -> None:
    """Let them arrive and be processed, in this order."""
    for event in events:
        stored = webhooks.receive(json.dumps(event).encode(), on_new=lambda pk: None)
        process_webhook(stored.pk)


def states() -> list[str]:
    return list(PaymentEvent.objects.order_by("pk").values_list("state", flat=True))


def taken(gateway: Gateway) -> None:
    wait_until(lambda: gateway.events_waiting() == 0, seconds=20, what="the events to be taken")


# Who is let in


def test_a_signed_event_is_stored_asked_for_and_answered(payment: Payment) -> None:
    before = len(asked())
    answer = post(an_event(payment))
    assert (answer.status_code, answer.json()) == (200, {"status": "stored"})
    event = PaymentEvent.objects.get()
    assert (event.state, event.kind, event.payment_key) == ("received", "payment.succeeded", payment.idempotency_key)
    assert asked()[before:] == ["process_webhook"]


def test_one_that_comes_again_is_answered_counted_and_not_asked_for_again(payment: Payment) -> None:
    assert [post(an_event(payment)).status_code for _ in range(3)] == [200] * 3
    assert PaymentEvent.objects.get().arrivals == 3
    assert asked().count("process_webhook") == 1


@pytest.mark.parametrize(
    "how",
    [
        {"secret": "another"},
        {"age": 301},
        {"age": -301},
        {"gateway-signature": ""},
        {"gateway-signature": "t=1,v1=é"},
        {"gateway-signature": "v1=" + "0" * 64},
    ],
    ids=str,
)
def test_what_is_not_genuine_is_refused_and_not_stored(payment: Payment, how: dict[str, Any]) -> None:
    assert post(an_event(payment), **how).status_code == 403
    assert not PaymentEvent.objects.exists()


def test_a_signature_is_of_this_body_only(payment: Payment) -> None:
    genuine = json.dumps(an_event(payment)).encode()
    signed = {"gateway-signature": signature(genuine, secret=SECRET, at=int(time.time()))}
    assert post(genuine.replace(b"ch_1", b"ch_2"), **signed).status_code == 403
    assert post(genuine, **signed).status_code == 200


def test_without_a_secret_nobody_is_let_in(payment: Payment, settings: Any) -> None:
    settings.PAYMENTS_WEBHOOK_SECRET = ""
    assert post(an_event(payment), secret="").status_code == 403


def test_a_body_that_is_too_long_is_refused() -> None:
    assert post(b"x" * (webhooks.MAX_BODY_BYTES + 1)).status_code == 413


def test_only_post_is_understood(client: Client) -> None:
    assert client.get(reverse("payments_webhook")).status_code == 405


# What makes no sense


POISON = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\x00",
    b"[" * 60_000,
    b'{"id": "evt_1"}',
    b'{"id": 1, "type": "payment.succeeded", "sequence": 1, "data": {}}',
    b'{"id": "evt\\u0000", "type": "payment.succeeded", "sequence": 1, "data": {}}',
    b'{"id": "evt\\ud800", "type": "payment.succeeded", "sequence": 1, "data": {}}',
    b'{"id": "evt_1", "type": "payment.succeeded", "sequence": 1, "data": []}',
    b'{"id": "evt_1", "type": "payment.succeeded", "sequence": 1e99, "data": {"payment": "p", "amount": 1}}',
    b'{"id": "evt_1", "type": "payment.succeeded", "sequence": 1, "data": {"payment": "p", "amount": true}}',
]


@pytest.mark.parametrize("body", POISON, ids=lambda body: repr(body[:40]))
def test_what_cannot_be_read_is_kept_marked_and_not_processed(body: bytes) -> None:
    assert [post(body).status_code for _ in range(2)] == [200, 200]
    event = PaymentEvent.objects.get()
    assert (event.state, event.arrivals) == ("malformed", 2)
    assert asked() == []


def test_an_event_of_a_kind_that_we_do_not_use_is_kept(payment: Payment) -> None:
    post({"id": "evt_9", "type": "payout.paid"})
    post(an_event(payment, "disputed"))
    for event in PaymentEvent.objects.all():
        process_webhook(event.pk)
    assert states() == ["ignored", "ignored"]


# What it means


def test_a_payment_whose_answer_was_lost_is_closed_by_its_event(payment: Payment) -> None:
    process(an_event(payment))
    payment.refresh_from_db()
    assert (payment.outcome, payment.charge_id) == ("succeeded", "ch_1")
    assert Order.objects.get().paid_at is not None
    assert states() == ["applied"]


def test_a_declined_card_is_told_once_by_the_answer_or_the_event(payment: Payment) -> None:
    process(an_event(payment, "failed", sequence=2), an_event(payment, "failed", sequence=4))
    assert Order.objects.get().payment_problem == "do not honour"
    assert asked().count("send_payment_failed") == 1


def test_money_that_was_given_back_is_kept_and_nothing_is_sent(payment: Payment, client: Client) -> None:
    process(an_event(payment), an_event(payment, "refunded", sequence=3))
    order = Order.objects.get()
    assert order.refunded_at is not None
    assert not order.is_ready_to_ship
    assert b"The money was given back" in client.get(order.get_absolute_url()).content


@pytest.mark.parametrize("turns", sorted(set(itertools.permutations([0, 1, 2, 1]))), ids=str)
def test_whatever_the_order_the_end_is_the_same(payment: Payment, turns: tuple[int, ...]) -> None:
    happened = [
        an_event(payment, "created", sequence=1),
        an_event(payment, "succeeded", sequence=2),
        an_event(payment, "refunded", sequence=3),
    ]
    process(*[happened[turn] for turn in turns])
    payment.refresh_from_db()
    assert (payment.outcome, payment.charge_id, payment.event_sequence) == ("succeeded", "ch_1", 3)
    assert payment.refunded_at is not None
    assert Order.objects.get().refunded_at == payment.refunded_at
    assert set(states()) <= {"applied", "outdated"}


@pytest.mark.parametrize(
    ("kind", "changes"), [("succeeded", {"amount": 1}), ("succeeded", {"charge": "ch_2"}), ("failed", {})]
)
def test_what_contradicts_what_we_know_changes_nothing_and_says_so(
    payment: Payment, kind: str, changes: dict[str, Any]
) -> None:
    process(an_event(payment, sequence=1), an_event(payment, kind, sequence=2, **changes))
    payment.refresh_from_db()
    assert (payment.outcome, payment.charge_id, payment.event_sequence) == ("succeeded", "ch_1", 1)
    assert states() == ["applied", "contradicts"]


def test_an_event_of_an_unknown_payment_is_kept_until_there_is_one(payment: Payment) -> None:
    event = an_event(payment, payment="later")
    process(event)
    assert states() == ["unmatched"]
    Payment.objects.update(idempotency_key="later")
    process_webhook(PaymentEvent.objects.get().pk)
    assert states() == ["applied"]


def test_a_processed_event_is_not_processed_again(payment: Payment) -> None:
    process(an_event(payment))
    first = PaymentEvent.objects.get().processed_at
    process_webhook(PaymentEvent.objects.get().pk)
    process_webhook(404)
    assert PaymentEvent.objects.get().processed_at == first


# Many at once


@pytest.mark.django_db(transaction=True)
def test_one_event_that_arrives_often_at_once_is_stored_and_asked_for_once() -> None:
    payment = an_order(a_product()).payments.get()
    answers = at_once(lambda _: post(an_event(payment)).status_code, range(8))
    assert answers == [200] * 8
    assert PaymentEvent.objects.get().arrivals == 8
    assert asked().count("process_webhook") == 1


@pytest.mark.django_db(transaction=True)
def test_one_event_in_many_runs_at_once_counts_once() -> None:
    payment = an_order(a_product()).payments.get()
    post(an_event(payment, "failed"))
    at_once(process_webhook, [PaymentEvent.objects.get().pk] * 6)
    assert asked().count("send_payment_failed") == 1
    assert states() == ["applied"]


@pytest.mark.django_db(transaction=True)
def test_the_events_of_one_payment_at_once_end_as_if_in_their_order() -> None:
    payment = an_order(a_product()).payments.get()
    for sequence, kind in enumerate(("created", "succeeded", "refunded"), 1):
        post(an_event(payment, kind, sequence=sequence))
    at_once(process_webhook, PaymentEvent.objects.values_list("pk", flat=True))
    payment.refresh_from_db()
    assert (payment.outcome, payment.event_sequence) == ("succeeded", 3)
    assert payment.refunded_at is not None


# The partner itself, over HTTP


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", ["ok", "webhook_twice", "webhook_disorder"])
def test_the_gateway_tells_and_the_shop_learns_it_once(telling_gateway: Gateway, mode: str) -> None:
    order = an_order(a_product())
    telling_gateway.set_mode(mode)
    charge_order(order.pk)
    taken(telling_gateway)
    for event in PaymentEvent.objects.order_by("received_at"):
        process_webhook(event.pk)
    payment = order.payments.get()
    assert (payment.outcome, payment.event_sequence) == ("succeeded", 2)
    arrived = dict(PaymentEvent.objects.values_list("kind", "arrivals"))
    assert arrived == dict.fromkeys(["payment.created", "payment.succeeded"], 2 if mode == "webhook_twice" else 1)
    if mode == "webhook_disorder":
        assert PaymentEvent.objects.get(kind="payment.created").state == EventState.OUTDATED


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("impatient")
def test_a_charge_whose_answer_was_lost_is_paid_by_its_event_and_not_charged_again(telling_gateway: Gateway) -> None:
    order = an_order(a_product())
    telling_gateway.set_mode("timeout_after", times=1)
    with pytest.raises(payments.GatewayUnavailable):
        charge_order(order.pk)
    taken(telling_gateway)
    for event in PaymentEvent.objects.all():
        process_webhook(event.pk)
    assert order.payments.get().outcome == "succeeded"
    charge_order(order.pk)
    assert len(telling_gateway.ledger()) == 1


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_not_taken_is_sent_again(telling_gateway: Gateway, settings: Any) -> None:
    order = an_order(a_product(), card="tok_declined")
    settings.PAYMENTS_WEBHOOK_SECRET = "not yet"
    charge_order(order.pk)
    wait_until(lambda: telling_gateway.counts().get("events refused", 0) >= 2, seconds=20, what="a refusal")
    assert not PaymentEvent.objects.exists()
    settings.PAYMENTS_WEBHOOK_SECRET = SECRET
    taken(telling_gateway)
    assert sorted(PaymentEvent.objects.values_list("kind", flat=True)) == ["payment.created", "payment.failed"]


@pytest.mark.django_db(transaction=True)
def test_what_arrives_cut_off_is_taken_once_and_marked(telling_gateway: Gateway) -> None:
    telling_gateway.set_mode("webhook_malformed", times=1)
    charge_order(an_order(a_product()).pk)
    taken(telling_gateway)
    assert states() == ["malformed", "malformed"]


@pytest.mark.django_db(transaction=True)
def test_a_refund_at_the_gateway_is_told_once(telling_gateway: Gateway) -> None:
    order = an_order(a_product())
    charge_order(order.pk)
    wish = {"charge": order.payments.get().charge_id}
    answers = [call("POST", f"{telling_gateway.url}/refunds", body=wish).status for _ in range(2)]
    assert answers == [201, 200]
    assert call("POST", f"{telling_gateway.url}/refunds", body={"charge": "ch_none"}).status == 404
    taken(telling_gateway)
    drain()
    order.refresh_from_db()
    assert order.refunded_at is not None


def test_events_that_were_not_taken_are_sent_after_a_restart(tmp_path: Path) -> None:
    nowhere = Post("http://127.0.0.1:9/", SECRET)
    with Gateway(tmp_path, post=nowhere) as gateway:
        wish = {"amount": 1, "currency": "EUR", "card": "tok_visa", "reference": "order-1"}
        call("POST", f"{gateway.url}/charges", body=wish, headers={"Idempotency-Key": "k"})
    with Gateway(tmp_path, post=nowhere) as gateway:
        assert gateway.events_waiting() == 2


# The admin


def test_operators_see_events_and_process_those_again_that_came_to_nothing(payment: Payment) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_paymentevent", "ship_order"]))
    client = Client()
    client.force_login(clerk)
    process(an_event(payment, payment="unknown"), an_event(payment, sequence=1))
    address = reverse("admin:orders_paymentevent_changelist")
    assert b"of no payment that we know" in client.get(address).content
    chosen = {"action": "process_again", "_selected_action": list(PaymentEvent.objects.values_list("pk", flat=True))}
    said = client.post(address, chosen, follow=True).content.decode()
    assert "1 asked for; 1 left alone" in said
    assert asked().count("process_webhook") == 1


def test_who_may_only_look_processes_nothing(payment: Payment) -> None:
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename="view_paymentevent"))
    client = Client()
    client.force_login(looker)
    process(an_event(payment, payment="unknown"))
    chosen = {"action": "process_again", "_selected_action": [PaymentEvent.objects.get().pk]}
    client.post(reverse("admin:orders_paymentevent_changelist"), chosen)
    assert "process_webhook" not in asked()

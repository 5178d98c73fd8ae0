"""The staff's pages against running partners."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.mail import EmailMultiAlternatives, send_mail
from django.test import Client
from django.urls import reverse

from orders import payments
from orders.partners.gateway import Gateway
from orders.partners.lists import Lists
from orders.partners.mailbox import Mailbox
from orders.partners.warehouse import Warehouse

pytestmark = pytest.mark.django_db

PARTNERS = "/staff/partners/"
MAILBOX = "/staff/mailbox/"
PARTNER_MODE = "/staff/partners/payments/mode/"


@pytest.fixture
def staff() -> Client:
    """Somebody who may break partners."""
    user = User.objects.create_user("sam", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="break_partner"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def onlooker() -> Client:
    """Somebody who works here and may only look."""
    client = Client()
    client.force_login(User.objects.create_user("olga", is_staff=True))
    return client


@pytest.fixture
def _partners_are_away(gateway: Gateway, warehouse_partner: Warehouse, list_provider: Lists, mailbox: Mailbox) -> None:
    for partner in (gateway, warehouse_partner, list_provider, mailbox):
        partner.stop()


def text_of(response: Any) -> str:
    """What a reader sees, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def message_id(mailbox: Mailbox) -> str:
    return str(mailbox.messages()[0]["id"])


@pytest.mark.parametrize(
    "address",
    [PARTNERS, MAILBOX, PARTNER_MODE, f"{MAILBOX}clear/", f"{MAILBOX}x/", f"{MAILBOX}x/html/", "/staff/refund/x/"],
)
def test_only_staff_may_see_and_do(address: str) -> None:
    customer = Client()
    customer.force_login(User.objects.create_user("carl"))
    for client in (Client(), customer):
        for response in (client.get(address), client.post(address)):
            assert response.status_code == 302
            assert response["Location"].startswith(reverse("admin:login"))


@pytest.mark.usefixtures("warehouse_partner", "mailbox")
def test_the_page_shows_how_partners_are_and_what_they_did(staff: Client, gateway: Gateway) -> None:
    payments.charge(reference="order-17", amount_cents=123450, card="tok_visa", idempotency_key="k")
    page = text_of(staff.get(PARTNERS))
    assert "Payment gateway healthy" in page
    assert "order-17" in page
    assert "€ 1,234.50" in page


def test_a_charge_is_given_back_after_asking(staff: Client, gateway: Gateway) -> None:
    charge = payments.charge(reference="order-17", amount_cents=100, card="tok_visa", idempotency_key="k")
    address = f"/staff/refund/{charge.id}/"
    assert address in staff.get(PARTNERS).content.decode()
    assert "Give the money back?" in text_of(staff.get(address))
    assert "gives the money back" in text_of(staff.post(address, follow=True))
    assert staff.post("/staff/refund/ch_none/").status_code == 404


def test_who_may_only_look_gives_nothing_back(onlooker: Client, gateway: Gateway) -> None:
    assert onlooker.post("/staff/refund/ch_any/").status_code == 403
    payments.charge(reference="order-17", amount_cents=100, card="tok_visa", idempotency_key="k")
    assert b"/staff/refund/" not in onlooker.get(PARTNERS).content


@pytest.mark.usefixtures("warehouse_partner", "mailbox")
def test_staff_without_the_permission_look_and_change_nothing(onlooker: Client, gateway: Gateway) -> None:
    assert b"<button" not in onlooker.get(PARTNERS).content
    assert b"Empty it" not in onlooker.get(MAILBOX).content
    assert onlooker.post(PARTNER_MODE, {"mode": "error"}).status_code == 403
    assert onlooker.post(f"{MAILBOX}clear/").status_code == 403
    assert gateway.mode.name == "ok"


@pytest.mark.usefixtures("warehouse_partner", "mailbox")
def test_a_partner_is_broken_and_healed_on_the_page(staff: Client, gateway: Gateway) -> None:
    wish = {"mode": "slow", "seconds": "1.5", "times": "3"}
    page = text_of(staff.post(PARTNER_MODE, wish, follow=True))
    assert "Payment gateway: slow, 1.5 s, for 3 more requests." in page
    assert gateway.mode.as_dict() == {"mode": "slow", "seconds": 1.5, "times": 3}
    assert "Heal it" in page
    staff.post(PARTNER_MODE, {"mode": "ok"})
    assert gateway.mode.name == "ok"


@pytest.mark.usefixtures("gateway", "mailbox")
def test_a_partner_is_offered_only_modes_it_knows(staff: Client, warehouse_partner: Warehouse) -> None:
    response = staff.post("/staff/partners/warehouse/mode/", {"mode": "decline"})
    assert response.status_code == 400
    assert "decline is not one of the available choices" in text_of(response)
    assert warehouse_partner.mode.name == "ok"


@pytest.mark.usefixtures("warehouse_partner", "mailbox")
@pytest.mark.parametrize("wrong", [{"times": "0"}, {"seconds": "-1"}, {"seconds": "nan"}, {"times": "many"}])
def test_a_number_that_makes_no_sense_is_shown_beside_its_field(
    staff: Client, gateway: Gateway, wrong: dict[str, str]
) -> None:
    response = staff.post(PARTNER_MODE, {"mode": "error", **wrong})
    assert response.status_code == 400
    assert b"errorlist" in response.content
    assert gateway.mode.name == "ok"


def test_reading_changes_nothing(staff: Client, gateway: Gateway) -> None:
    assert staff.get(PARTNER_MODE, {"mode": "error"}).status_code == 405
    assert gateway.mode.name == "ok"


def test_a_change_needs_the_pages_token(gateway: Gateway) -> None:
    forger = Client(enforce_csrf_checks=True)
    forger.force_login(User.objects.create_superuser("sam"))
    assert forger.post(PARTNER_MODE, {"mode": "error"}).status_code == 403
    assert gateway.mode.name == "ok"


def test_there_are_no_other_partners(staff: Client) -> None:
    assert staff.post("/staff/partners/bank/mode/", {"mode": "error"}).status_code == 404


@pytest.mark.usefixtures("_partners_are_away")
def test_partners_that_are_away_are_named_with_the_cure(staff: Client) -> None:
    page = text_of(staff.get(PARTNERS))
    assert page.count("does not answer at") == 4
    assert "manage.py partners payments" in page
    assert "does not answer at" in text_of(staff.post(PARTNER_MODE, {"mode": "error"}, follow=True))


@pytest.mark.usefixtures("_partners_are_away")
@pytest.mark.parametrize("address", [MAILBOX, f"{MAILBOX}clear/", f"{MAILBOX}x/", f"{MAILBOX}x/html/"])
def test_a_mailbox_that_is_away_is_named(staff: Client, address: str) -> None:
    response = staff.get(address)
    assert response.status_code == 503
    assert "Mailbox does not answer" in text_of(response)


def test_mails_are_listed_and_read(staff: Client, mailbox: Mailbox) -> None:
    assert "No mail yet" in text_of(staff.get(MAILBOX))
    send_mail("Your order <17>", "See https://example.com/orders/17\nThank you.", None, ["ada@example.com"])
    assert "Your order &lt;17&gt; ada@example.com" in text_of(staff.get(MAILBOX))
    page = staff.get(f"{MAILBOX}{message_id(mailbox)}/").content.decode()
    assert '<a href="https://example.com/orders/17" rel="nofollow">' in page
    assert "<iframe" not in page


def test_a_mails_html_is_caged(staff: Client, mailbox: Mailbox) -> None:
    mail = EmailMultiAlternatives("Hi", "words", to=["ada@example.com"])
    mail.attach_alternative("<script>alert(1)</script><p>rich", "text/html")
    mail.send()
    page = staff.get(f"{MAILBOX}{message_id(mailbox)}/").content.decode()
    assert "<script>alert" not in page
    assert "<iframe sandbox " in page
    html = staff.get(f"{MAILBOX}{message_id(mailbox)}/html/")
    assert "<script>alert" in html.content.decode()
    policy = html["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith("; sandbox")
    assert html["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.usefixtures("mailbox")
def test_a_mail_that_is_not_there_is_not_found(staff: Client) -> None:
    assert staff.get(f"{MAILBOX}nothing/").status_code == 404
    assert staff.get(f"{MAILBOX}nothing/html/").status_code == 404


def test_the_mailbox_is_emptied_after_asking(staff: Client, mailbox: Mailbox) -> None:
    send_mail("Hi", "words", None, ["ada@example.com"])
    assert "1 mail will be gone" in text_of(staff.get(f"{MAILBOX}clear/"))
    assert len(mailbox.messages()) == 1
    assert "The mailbox is empty." in text_of(staff.post(f"{MAILBOX}clear/", follow=True))
    assert mailbox.messages() == []


@pytest.mark.usefixtures("gateway", "warehouse_partner", "mailbox")
@pytest.mark.parametrize("address", [PARTNERS, MAILBOX, f"{MAILBOX}clear/"])
def test_the_pages_have_nothing_inline(staff: Client, address: str) -> None:
    page = staff.get(address).content.decode()
    assert not re.search(r"<style|<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=", page)

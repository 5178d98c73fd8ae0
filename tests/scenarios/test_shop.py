"""The shop's orders through a real worker, real partners and real mail: what the first page promises."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from jobs.models import AuditEntry, DeadJob, JobRun
from orders.jobs import charge_order
from orders.models import Order
from orders.partners.gateway import Gateway
from orders.partners.mailbox import Mailbox
from orders.partners.warehouse import Warehouse
from tests.orders.making import a_product, an_order
from tests.partners import gateway, mailbox, warehouse_partner
from tests.scenarios.workers import Workers, wait_until

__all__ = ["gateway", "mailbox", "warehouse_partner"]

FACTS = ("paid_at", "stocked_at", "warehouse_notified_at", "confirmation_sent_at")


@pytest.fixture
def start_worker(
    workers: Workers, gateway: Gateway, warehouse_partner: Warehouse, mailbox: Mailbox
) -> Callable[[], None]:
    """Starts a worker that talks to this test's partners."""

    def start() -> None:
        workers.start(
            PAYMENTS_URL=gateway.url,
            WAREHOUSE_URL=warehouse_partner.url,
            EMAIL_URL=mailbox.smtp_url,
            MAILBOX_URL=mailbox.url,
        )
        run = charge_order.enqueue(0)
        wait_until(lambda: run.state == "succeeded", what="the worker to be up, ending a missing order quietly")

    return start


def done(order: Order) -> set[str]:
    order.refresh_from_db()
    return {fact for fact in FACTS if getattr(order, fact)}


def test_an_order_ends_paid_stocked_shipped_and_mailed_once_within_three_seconds(
    start_worker, gateway: Gateway, warehouse_partner: Warehouse, mailbox: Mailbox
) -> None:
    start_worker()
    placed = time.monotonic()
    order = an_order()
    wait_until(lambda: done(order) == set(FACTS), seconds=3, what="the whole order")
    assert time.monotonic() - placed < 3
    assert len(gateway.ledger()) == len(warehouse_partner.ledger()) == 1
    about = [mail for mail in mailbox.messages() if order.number in mail["subject"]]
    assert len(about) == 1


@pytest.mark.slow
def test_with_the_gateway_failing_the_rest_goes_on_and_the_charge_heals_by_itself(
    start_worker, gateway: Gateway
) -> None:
    start_worker()
    gateway.set_mode("timeout_after", seconds=8, times=1)
    order = an_order()
    wait_until(lambda: done(order) == set(FACTS) - {"paid_at"}, what="the other three jobs")
    wait_until(lambda: done(order) == set(FACTS), seconds=40, what="the charge to heal")
    assert len(gateway.ledger()) == 1
    charges = JobRun.objects.filter(name="orders.charge_order", arguments={"order_id": order.pk})
    wait_until(lambda: charges.get().state == "succeeded", what="the charge to be recorded")
    assert charges.get().attempts == 2


def test_a_dead_charge_is_seen_in_the_admin_and_revived_there(start_worker, gateway: Gateway, client: Client) -> None:
    start_worker()
    operator = an_operator("view_console", "requeue_job", "discard_job")
    client.force_login(operator)
    gateway.set_mode("error")
    order = an_order()
    run = charge_order.using(attempts=1).enqueue(order.pk)
    wait_until(lambda: run.state == "dead", what="the charge to die")
    dead = DeadJob.objects.get(run=run.id)
    shown = client.get(reverse("admin:jobs_jobrun_change", args=[run.id])).content.decode()
    assert "GatewayUnavailable" in shown
    assert "Traceback" in shown
    gateway.set_mode("ok")
    address = reverse("admin:jobs_jobrun_change", args=[run.id])
    assert retry_on(client, address, dead).status_code in (200, 302)
    wait_until(lambda: run.state == "succeeded", what="the revived run")
    dead.refresh_from_db()
    assert (dead.resolution, dead.resolved_by) == ("requeued", operator.username)
    assert AuditEntry.objects.filter(action="requeue", actor=operator.username, outcome="done").count() == 1
    retry_on(client, address, dead)
    assert AuditEntry.objects.filter(action="requeue", outcome="done").count() == 1


def test_requeue_dead_does_what_its_dry_run_said(start_worker, gateway: Gateway) -> None:
    start_worker()
    gateway.set_mode("error")
    product = a_product()
    orders = [an_order(product) for _ in range(3)]
    runs = [charge_order.using(attempts=1).enqueue(order.pk) for order in orders]
    wait_until(lambda: all(run.state == "dead" for run in runs), what="the charges to die")
    gateway.set_mode("ok")
    said = requeue_dead("--job", "orders.charge_order", "--dry-run")
    assert DeadJob.objects.filter(resolution="").count() == 3
    did = requeue_dead("--job", "orders.charge_order")
    assert said["done"] == did["done"] == 3
    wait_until(lambda: all(run.state == "succeeded" for run in runs), what="the revived charges")
    assert len(gateway.ledger()) == 3


def requeue_dead(*arguments: str) -> dict:
    answer = StringIO()
    call_command("requeue_dead", *arguments, "--json", "--no-input", stdout=answer)
    return json.loads(answer.getvalue())


def an_operator(*codenames: str) -> User:
    user = User.objects.create_user("olga", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="jobs"))
    return user


def retry_on(client: Client, address: str, dead: DeadJob):
    return client.post(f"{address}retry/", {"reason": "the gateway is back", "burial": dead.pk})

"""While a new release comes, the shop's code of before goes on beside it, on the new tables."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection

from orders.models import Order

pytestmark = pytest.mark.django_db


def _remember_as_before(order: Order) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders_orderrun (order_id, run) VALUES (%s, %s)", [order.pk, uuid.uuid4().hex])


def test_code_of_before_still_remembers_the_runs_of_an_order(order: Order) -> None:
    _remember_as_before(order)


def test_what_it_remembers_is_in_nobodys_way(order: Order) -> None:
    _remember_as_before(order)
    order.lines.all().delete()
    order.payments.all().delete()

    order.delete()

    connection.check_constraints()
    assert not Order.objects.exists()

"""Rows of a queryset from any cursor on: none is passed by and none comes twice, in whatever order they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Count, F, QuerySet

from jobs import iterators
from jobs.errors import BadOptions, SourceChanged
from jobs.iterators import chunks, chunks_of, queryset_of, querysets, rows
from jobs.registry import Job
from jobs.testing import drain
from orders.models import Customer, Order
from tests import engine

make_job = engine.make_job
pytestmark = pytest.mark.django_db

START = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)
COUNT = 7


@pytest.fixture
def orders() -> QuerySet[Order]:
    """Seven orders of three customers; two and two of them are equal in all but their keys."""
    customers = [Customer.objects.create(email=f"{name}@example.com", name=name) for name in ("ann", "bob", "cid")]
    for number in range(COUNT):
        Order.objects.create(
            customer=customers[number % 3],
            total_cents=(100, 100, 300)[number % 3],
            recipient=f"no. {number // 2}",
            street="Road 1",
            postcode="1",
            city="Town",
            placed_at=START + timedelta(microseconds=number // 2),
        )
    return Order.objects.all()


def stored(cursor: Any) -> Any:
    """A cursor as the next attempt gets it."""
    return json.loads(json.dumps(cursor))


ORDERS = [
    (),
    ("pk",),
    ("-pk",),
    ("number",),
    ("-number",),
    ("checkout_key",),
    ("placed_at", "pk"),
    ("-placed_at", "pk"),
    ("total_cents", "-placed_at", "id"),
    ("-customer_id", "recipient", "-pk"),
    ("customer_id", "number"),
]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_whatever_the_order_going_on_from_any_place_gives_what_follows(
    orders: QuerySet[Order], order: tuple[str, ...], page: int
) -> None:
    asked = orders.order_by(*order)
    expected = list(asked.order_by(*(order or ("pk",))).values_list("pk", flat=True))
    pairs = [(stored(cursor), row.pk) for cursor, row in rows(asked, None, page=page)]
    assert [pk for _, pk in pairs] == expected
    for done, (cursor, _) in enumerate(pairs, start=1):
        assert [row.pk for _, row in rows(asked, cursor, page=page)] == expected[done:]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_chunks_are_the_same_rows_in_lists(orders: QuerySet[Order], order: tuple[str, ...], size: int) -> None:
    asked = orders.order_by(*order)
    expected = [row.pk for _, row in rows(asked, None)]
    pairs = [(stored(cursor), [row.pk for row in chunk]) for cursor, chunk in chunks(asked, None, size=size)]
    assert [pk for _, chunk in pairs for pk in chunk] == expected
    assert {len(chunk) for _, chunk in pairs[:-1]} <= {size}
    done = 0
    for cursor, chunk in pairs:
        done += len(chunk)
        assert [row.pk for _, rest in chunks(asked, cursor, size=size) for row in rest] == expected[done:]


def test_a_queryset_without_an_order_of_its_own_goes_by_primary_key(orders: QuerySet[Order]) -> None:
    """The model's own ordering, newest first, is one of pages for people."""
    assert [row.pk for _, row in rows(orders, None)] == sorted(orders.values_list("pk", flat=True))


def test_a_turned_order_is_gone_through_as_it_is(orders: QuerySet[Order]) -> None:
    asked = orders.order_by("placed_at", "pk").reverse()
    assert [row.pk for _, row in rows(asked, None, page=2)] == list(asked.values_list("pk", flat=True))


def test_filters_prefetches_and_annotations_stay(orders: QuerySet[Order], django_assert_num_queries: Any) -> None:
    asked = orders.filter(total_cents=100).prefetch_related("lines").annotate(count=Count("lines"))
    with django_assert_num_queries(2):
        found = [(row.count, list(row.lines.all())) for _, row in rows(asked, None)]
    assert found == [(0, [])] * 5


def test_a_row_that_a_join_gives_twice_comes_once(orders: QuerySet[Order]) -> None:
    asked = Customer.objects.filter(orders__total_cents__gt=0)
    assert asked.count() == COUNT
    assert [row.name for _, row in rows(asked, None, page=2)] == ["ann", "bob", "cid"]


def test_rows_that_changed_since_their_page_was_read_are_read_again(
    orders: QuerySet[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(querysets, "_FRESH_SECONDS", -1.0)
    seen = []
    for _, row in rows(orders, None):
        seen.append(row.recipient)
        orders.update(recipient="changed")
    assert seen == ["no. 0"] + ["changed"] * (COUNT - 1)


def test_rows_that_are_deleted_or_added_meanwhile_do_no_harm(orders: QuerySet[Order]) -> None:
    expected = sorted(orders.values_list("pk", flat=True))
    seen = []
    for _, row in rows(orders, None, page=2):
        seen.append(row.pk)
        Order.objects.filter(pk=row.pk).delete()
    assert seen == expected


def test_a_page_is_one_query_that_counts_nothing_away(orders: QuerySet[Order], django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(3) as asked:
        list(rows(orders.order_by("-placed_at", "pk"), None, page=3))
    assert not any("OFFSET" in query["sql"] for query in asked.captured_queries)


@pytest.mark.parametrize(
    ("ask", "cure"),
    [
        (lambda found: found.order_by("placed_at"), r'add "pk", as in order_by\(\'placed_at\', "pk"\)'),
        (lambda found: found.order_by("-total_cents", "recipient"), 'add "pk"'),
        (lambda found: found.order_by("?"), 'order by "pk"'),
        (lambda found: found.order_by("customer"), 'order by "customer_id"'),
        (lambda found: found.order_by("customer__email", "pk"), "own columns alone"),
        (lambda found: found.order_by(F("placed_at").desc(), "pk"), "own columns alone"),
        (lambda found: found.annotate(n=Count("lines")).order_by("n", "pk"), "own columns alone"),
        (lambda found: found.order_by("paid_at", "pk"), "may be NULL"),
        (lambda found: found[:3], r"use filter\(…\)"),
        (lambda found: found.union(found), r"use filter\(…\)"),
        (lambda found: found.values("number"), r"use only\(…\)"),
        (lambda found: found.values_list("number", flat=True), r"use only\(…\)"),
        (lambda found: Order.objects, r"add \.all\(\)"),
        (lambda found: list(found), "is no queryset"),
    ],
)
def test_what_no_cursor_could_enter_is_refused_with_the_cure(
    orders: QuerySet[Order], ask: Callable[[Any], Any], cure: str
) -> None:
    with pytest.raises(BadOptions, match=cure):
        next(rows(ask(orders), None))
    with pytest.raises(BadOptions, match=cure):
        next(chunks(ask(orders), None))


@pytest.mark.parametrize("cursor", [7, [7, 8], {"pk": 7}])
def test_a_cursor_of_another_order_is_refused(orders: QuerySet[Order], cursor: Any) -> None:
    with pytest.raises(SourceChanged, match="its order has changed"):
        next(rows(orders, cursor))


@pytest.mark.parametrize("size", [0, -1, True, 2.5])
def test_a_size_that_cannot_be_is_refused_when_the_job_is_defined(size: Any) -> None:
    with pytest.raises(BadOptions, match="whole number from 1"):
        chunks_of(lambda: Order.objects.all(), size=size)
    with pytest.raises(BadOptions, match="whole number from 1"):
        queryset_of(lambda: Order.objects.all(), page=size)


@pytest.mark.parametrize("given", [Order, "orders"])
def test_what_is_made_at_import_is_refused_when_the_job_is_defined(given: Any) -> None:
    given = Order.objects.none() if given is Order else given
    with pytest.raises(BadOptions, match="a function of the job's arguments"):
        queryset_of(given)


def test_a_job_goes_through_a_queryset_of_its_arguments(
    orders: QuerySet[Order], make_job: Callable[..., Job[..., Any]]
) -> None:
    done: list[tuple[int, int]] = []
    over = queryset_of(lambda cents, factor=2: Order.objects.filter(total_cents=cents))
    job = make_job(lambda order, cents, factor=2: done.append((order.pk, factor)), iterates=over)
    run = job.enqueue(300)
    drain()
    assert [factor for _, factor in done] == [2, 2]
    assert run.result == 2
    assert job.options.total is not None
    assert job.options.total(300, 2) == 2


def test_the_arguments_of_the_job_and_of_its_queryset_must_fit(make_job: Callable[..., Job[..., Any]]) -> None:
    with pytest.raises(BadOptions, match=r"\(cents, cursor\)"):
        make_job(lambda order, cents: None, iterates=queryset_of(lambda euros: Order.objects.all()))


def test_a_manager_s_own_method_will_do(orders: QuerySet[Order], make_job: Callable[..., Job[..., Any]]) -> None:
    job = make_job(lambda order: None, iterates=queryset_of(Order.objects.all))
    assert job() == COUNT


def test_chunks_are_counted_as_chunks(orders: QuerySet[Order], make_job: Callable[..., Job[..., Any]]) -> None:
    sizes: list[int] = []
    over = chunks_of(lambda: Order.objects.all(), size=3)
    run = make_job(lambda chunk: sizes.append(len(chunk)), iterates=over).enqueue()
    drain()
    assert (sizes, run.result, over.total()) == ([3, 3, 1], 3, 3)


def test_the_door_has_what_it_promises() -> None:
    assert all(hasattr(iterators, name) for name in iterators.__all__)

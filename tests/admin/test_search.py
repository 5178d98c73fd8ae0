from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.admin import search
from jobs.admin.search import Term
from jobs.policy.ages import parse_age

NOW = datetime(2026, 5, 3, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("charge_order", (Term("job?", "charge_order"),)),
        ("state:dead queue:critical", (Term("state", "dead"), Term("queue", "critical"))),
        ('error:"no route to host" charge', (Term("error", "no route to host"), Term("job?", "charge"))),
        ("args.order.id:42", (Term("args.order.id", "42"),)),
        ("arg:tok_1", (Term("arg", "tok_1"),)),
        ("error:orders.Gone: no", (Term("error", "orders.Gone:"), Term("job?", "no"))),
        (
            "0190a1b2-0000-7000-8000-000000000000",
            (Term("id", "0190a1b2-0000-7000-8000-000000000000"),),
        ),
    ],
)
def test_a_search_box_reads_as_terms(text: str, terms: tuple[Term, ...]) -> None:
    found = search.parse(text)
    assert found.terms == terms
    assert not found.problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stat:dead", 'There is no stat: to search by. Did you mean "state"?'),
        ("args.:42", "There is no args.: to search by."),
        ("queue:", "queue: wants a value after the colon."),
        ('error:"open', "error: wants a value after the colon."),
    ],
)
def test_a_wrong_qualifier_is_named_with_its_cure(text: str, problem: str) -> None:
    assert search.parse(text).problems[0].startswith(problem)


def test_a_time_is_absolute_or_an_age() -> None:
    assert search.parse_moment("2026-05-03T12:00", now=NOW) == NOW - timedelta(hours=2)
    assert search.parse_moment("2h", now=NOW) == NOW - timedelta(hours=2)
    assert search.parse_moment("", now=NOW) is None


@pytest.mark.parametrize("text", ["yesterday", "2026-13-41T00:00", "2", "-3d", "99999999999d"])
def test_a_time_that_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"age|date"):
        search.parse_moment(text, now=NOW)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("3d", timedelta(days=3)),
        ("1D12h", timedelta(days=1, hours=12)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_ages_are_whole_numbers_with_units(text: str, age: timedelta) -> None:
    assert parse_age(text) == age

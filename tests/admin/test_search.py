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
        ("charge_order", (Term("job?", ("charge_order",)),)),
        ("state:dead queue:critical", (Term("state", ("dead",)), Term("queue", ("critical",)))),
        ('error:"no route to host" charge', (Term("error", ("no route to host",)), Term("job?", ("charge",)))),
        ("args.order.id:42", (Term("args.order.id", ("42",)),)),
        ("arg:tok_1", (Term("arg", ("tok_1",)),)),
        ("error:orders.Gone: no", (Term("error", ("orders.Gone:",)), Term("job?", ("no",)))),
        ("state:dead,retrying", (Term("state", ("dead", "retrying")),)),
        ('job:"a, b",c', (Term("job", ("a, b", "c")),)),
        ("-queue:low -charge", (Term("queue", ("low",), negated=True), Term("job?", ("charge",), negated=True))),
        ("waited:>30s attempts:>=2", (Term("waited", (">30s",)), Term("attempts", (">=2",)))),
        ("before:2026-05-03T14:00", (Term("before", ("2026-05-03T14:00",)),)),
        ("0190a1b2-0000-7000-8000-000000000000", (Term("id", ("0190a1b2-0000-7000-8000-000000000000",)),)),
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


def test_where_only_parts_of_texts_are_meant_commas_and_hyphens_are_themselves() -> None:
    assert search.parse("-a,b", plain=True).terms == (Term("job?", ("-a,b",)),)


@pytest.mark.parametrize("name", ["charge", "send receipt", "a,b"])
def test_a_condition_that_was_written_is_read_as_the_same(name: str) -> None:
    (term,) = search.parse(search.written("job", name, "other")).terms
    assert term.values == (name, "other")


def test_a_time_is_absolute_or_an_age() -> None:
    assert search.parse_moment("2026-05-03T12:00", now=NOW) == NOW - timedelta(hours=2)
    assert search.parse_moment("2h", now=NOW) == NOW - timedelta(hours=2)
    assert search.parse_moment("", now=NOW) is None


@pytest.mark.parametrize(
    "text",
    ["a " * 21, "a" * 1001, '""' + " a" * 30, "args" + ".a" * 11 + ":1"],
    ids=["terms", "characters", "quotation marks", "depth"],
)
def test_too_much_is_refused_with_what_is_enough(text: str) -> None:
    found = search.parse(text)
    assert len(found.problems) == 1
    assert "at the most" in found.problems[0]


def test_as_much_as_is_allowed_is_read() -> None:
    assert len(search.parse("a " * 20).terms) == 20
    assert search.parse("args" + ".a" * 10 + ":1").terms


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("42", ["42", 42]),
        ("true", ["true", True]),
        ("1e3", ["1e3", 1000.0]),
        ("NaN", ["NaN"]),
        ("-Infinity", ["-Infinity"]),
        ("1e999", ["1e999"]),
        ("[" * 990, ["[" * 990]),
    ],
)
def test_a_value_is_a_number_only_where_json_has_it(text: str, values: list[object]) -> None:
    assert search.typed_values(text) == values


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

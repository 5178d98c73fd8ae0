"""What a run is about, as its row has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import BadOptions
from jobs.policy import subjects
from jobs.policy.subjects import LONGEST, text_of

PARAMETERS = ["order_id", "card_token"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (17, "shop.order:17"),
        ("17", "shop.order:17"),
        ("0195-a", "shop.order:0195-a"),
        (None, None),
        (True, None),
        (1.5, None),
        ([17], None),
        ("", None),
        ("a\0b", None),
        ("x" * 300, None),
    ],
)
def test_a_key_is_a_whole_number_or_a_text(key: object, expected: str | None) -> None:
    assert text_of("shop.order", key) == expected


@given(st.one_of(st.integers(), st.text()))
def test_what_a_row_gets_fits_its_column(key: object) -> None:
    found = text_of("shop.order", key)
    assert found is None or (found.startswith("shop.order:") and len(found) <= LONGEST)


def test_a_model_is_named_in_small_letters() -> None:
    subject = subjects.check({"order_id": "shop.Order"}, PARAMETERS, sensitive=(), job="shop.charge")
    assert subject is not None
    assert subject.of({"order_id": 17}) == "shop.order:17"
    assert subject.of({}) is None


@pytest.mark.parametrize(
    "given",
    [
        "order_id",
        {},
        {"order_id": "shop.Order", "card_token": "shop.Card"},
        {"order": "shop.Order"},
        {"order_id": "Order"},
        {"order_id": 7},
        {"order_id": "shop.Order.x"},
        {"card_token": "shop.Card"},
    ],
)
def test_what_cannot_be_is_refused(given: object) -> None:
    with pytest.raises(BadOptions, match=r"shop\.charge"):
        subjects.check(given, PARAMETERS, sensitive=(), job="shop.charge")


def test_a_sensitive_argument_is_no_subject() -> None:
    with pytest.raises(BadOptions, match="masked"):
        subjects.check({"order_id": "shop.Order"}, PARAMETERS, sensitive=["order_id"], job="shop.charge")

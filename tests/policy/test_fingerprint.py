"""Two failures of one kind have one fingerprint, and two of different kinds have two."""

from __future__ import annotations

import string
import time
import uuid
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy.fingerprint import FRAMES, LENGTH, MESSAGE_CHARACTERS, Failure, innermost, normalised

ONE = Failure("orders.charge", "shop.GatewayDown", "Order 17 not found", ("orders.payments charge", "orders.http post"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Order 17 not found", "Order 18 not found"),
        ("Order 17 not found", "Order 1,000,018 not found"),
        ("it took 0.25 s", "it took 1200 s"),
        ("code A17", "code A123456"),
        ("waited 12ms", "waited 123456ms"),
        ("status -1", "status 7"),
        ("no customer 0190a3c2-7d3e-7bbb-8a11-2f3d4c5b6a79", "no customer 550e8400-e29b-41d4-a716-446655440000"),
        ("commit deadbeef01 is gone", "commit 0123456789 is gone"),
        ("charge ch_3N8xYzQ9 failed", "charge ch_1aB7kk2P failed"),
        ("<Order object at 0x7f2b8c> is odd", "<Order object at 0x55d0aa10> is odd"),
        ("ann@example.com is refused", "bob.smith+shop@mail.example.org is refused"),
        ("GET https://api.example.com/a?b=1 failed", "GET http://10.0.0.1:8080 failed"),
        ("no such file: /tmp/a/17.pdf", "no such file: ~/invoices/march/9.pdf"),
        (r"no such file: C:\Users\ann\a.txt", r"no such file: D:\b.txt"),
        ("due 2026-05-04", "due 2025-12-31"),
        ("due 2026-05-04T10:00:00.123456+00:00", "due 2025-12-31 23:59"),
        ("due Mon, 04 May 2026 10:00:00 GMT", "due Tue, 5 December 2025"),
        ("due May 4, 2026", "due Dec 31, 2025"),
        ("unknown field 'colour'", "unknown field 'size of it'"),
        ('unknown field "colour"', 'unknown field "the \\"size\\""'),
        ("unknown key `a`", "unknown key `b c`"),
        ("missing: 1, 2, 3", "missing: 4"),
        ("missing: 'a', 'b'", "missing: 'c'"),
        ("spaced   out\n text", "spaced out text"),
    ],
)
def test_what_differs_from_run_to_run_is_no_other_message(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert normalised(one) != one or normalised(other) != other


@pytest.mark.parametrize(
    ("message", "normal"),
    [
        ("Order 17 not found", "Order # not found"),
        ("customer's cart isn't there", "customer's cart isn't there"),
        ("neither and/or nor", "neither and/or nor"),
        ("[Errno 2] No such file: '/a/b'", "[Errno #] No such file: <text>"),
        ("", ""),
        ("the card was declined", "the card was declined"),
        ("login: [redacted]", "login: [redacted]"),
        (
            "HTTPConnectionPool(host='127.0.0.1', port=8101): Max retries",
            "HTTPConnectionPool(host=<text>, port=#): Max retries",
        ),
    ],
)
def test_the_words_of_a_message_stay(message: str, normal: str) -> None:
    assert normalised(message) == normal


@pytest.mark.parametrize(
    "other",
    [
        Failure("orders.refund", ONE.error_class, ONE.message, ONE.frames),
        Failure(ONE.job, "shop.Declined", ONE.message, ONE.frames),
        Failure(ONE.job, ONE.error_class, "Customer 17 not found", ONE.frames),
        Failure(ONE.job, ONE.error_class, ONE.message, ("orders.payments refund", "orders.http post")),
        Failure(ONE.job, ONE.error_class, ONE.message, ()),
    ],
)
def test_another_job_error_message_or_place_is_another_cause(other: Failure) -> None:
    assert other.fingerprint != ONE.fingerprint


def test_only_the_innermost_frames_count_and_each_once() -> None:
    outer = tuple(f"web view{number}" for number in range(20))
    assert innermost((*outer, *"abc")) == ("a", "b", "c")
    assert len(innermost(outer)) == FRAMES
    deep, deeper = ("job", *("a", "b") * 10), ("job", *("a", "b") * 400, "a")
    assert innermost(deep) == innermost(deeper) == ("job", "a", "b")


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    assert Failure("a.b", "ValueError", "no 1", ("a.b run",)).fingerprint == "b76036019bddeb8a448250942c53ebd5"


WORDS = st.text(string.ascii_letters.replace("x", "") + " ", min_size=1, max_size=30)
VALUES = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:.3f}"),
    st.uuids().map(str),
    st.integers(0, 2**64).map(hex),
    st.datetimes(min_value=datetime(1900, 1, 1)).map(str),
    st.text(string.printable.translate({ord(sign): None for sign in "'\\\n\r\x0b\x0c"})).map(lambda text: f"'{text}'"),
    st.text(string.ascii_letters, min_size=1, max_size=20).map(lambda name: f"{name}@example.com"),
    st.text(string.ascii_letters + "/", max_size=30).map(lambda path: f"https://example.com/{path}"),
)


@settings(max_examples=60, deadline=None)
@given(WORDS, VALUES, WORDS)
def test_a_value_never_stays_in_a_message(before: str, value: str, after: str) -> None:
    shown = normalised(f"at {before} : {value} ; {after}")
    assert shown in {
        normalised(f"at {before} : {placeholder} ; {after}")
        for placeholder in ("#", "<text>", "<email>", "<url>", "<date>")
    }


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_any_text_has_a_short_normal_form_that_stays(message: str) -> None:
    normal = normalised(message)
    assert len(normal) <= MESSAGE_CHARACTERS
    assert len(Failure("job", "E", message).fingerprint) == LENGTH


@settings(max_examples=60, deadline=None)
@given(WORDS, st.lists(st.integers(0, 10**9), max_size=8))
def test_a_normal_form_is_its_own(words: str, numbers: list[int]) -> None:
    normal = normalised(words.join(str(number) for number in numbers))
    assert normalised(normal) == normal


@pytest.mark.parametrize(
    "piece", ["a", "1a", "'", "\\", "a@", "/a", "1,", '"\\', "#, ", "1 may ", "x://", f"{uuid.UUID(int=0)}"]
)
def test_no_message_takes_long(piece: str) -> None:
    started = time.perf_counter()
    normalised(piece * 20_000)
    assert time.perf_counter() - started < 1

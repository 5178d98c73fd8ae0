"""What must not be shown is not shown, and the rest is."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policy.patterns import problem_of
from jobs.policy.redaction import MASK, SECRET_NAMES, is_secret, learn, mask, mask_text, secret_values

SECRET = "hunter2-correct-horse"
VISA = "4242424242424242"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "name",
    [*SECRET_NAMES, "card_token", "X-Api-Key", "API_KEY", "userPassword", "Set-Cookie", "privateKey", "clientSecret"],
)
def test_a_name_that_carries_a_secret_is_known(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["order_id", "email", "key", "author", "amount", ""])
def test_a_name_that_carries_none_is_not(name):
    assert not is_secret(name)


def test_names_of_the_job_count_as_whole_names():
    assert is_secret("pin", ["pin"])
    assert not is_secret("pineapple", ["pin"])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda secret: {"password": secret},
        lambda secret: {"login": {"password": secret}},
        lambda secret: [{"a": [{"b": ({"api_key": secret},)}]}],
        lambda secret: {"token": [secret, {"again": secret}]},
        lambda secret: {"Authorization": {"scheme": "Bearer", "value": secret}},
        lambda secret: {"url": f"https://bob:{secret}@example.com/"},
        lambda secret: [f"password={secret}"],
    ],
)
def test_a_secret_is_masked_at_every_depth(wrap):
    shown = json.dumps(mask(wrap(SECRET)))
    assert SECRET not in shown
    assert MASK in shown


def test_what_is_no_secret_stays_as_it_is():
    plain = {"order_id": 7, "lines": [{"sku": "A-1", "quantity": 2}], "note": "leave at the door", "vip": None}
    assert mask(plain) == plain


def test_masking_makes_a_copy():
    given_ = {"login": {"password": SECRET}}
    mask(given_)
    assert given_ == {"login": {"password": SECRET}}


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"password = '{SECRET}'",
        f'{{"password": "{SECRET}"}}',
        f"{{'card_token': '{SECRET}', 'x': 1}}",
        f"PASSWORD: {SECRET}",
        f"GET /pay?api_key={SECRET}&order=7",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Token {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"sent Bearer {SECRET} to the gateway",
        f"redis://:{SECRET}@cache:6379/0 does not answer",
        f"postgres://shop:{SECRET}@db/shop",
        f"postgres://shop:p@{SECRET}@db/shop",
        f"client_secret={SECRET}",
        f"X-Api-Key: {SECRET}",
        f"Set-Cookie: sessionid={SECRET}; HttpOnly",
        f"KeyError: \"password='{SECRET}'\"",
        f"call(password='{SECRET}', order_id=7)",
    ],
)
def test_a_secret_in_a_text_is_masked(text):
    assert SECRET not in mask_text(text)


def test_a_quoted_secret_with_an_escaped_quote_is_masked_whole():
    text = json.dumps({"password": f'ab"{SECRET}', "order_id": 7})
    shown = mask_text(text)
    assert SECRET not in shown
    assert '"order_id": 7' in shown


@pytest.mark.parametrize("number", [VISA, "4242 4242 4242 4242", "4242-4242-4242-4242", "378282246310005"])
def test_a_card_number_is_masked_wherever_it_stands(number):
    assert mask_text(f"card {number} was declined") == f"card {MASK} was declined"


@pytest.mark.parametrize("number", ["1234567890123", "4242424242424243", "2026-11-22", "12345", "+44 20 7946 0958"])
def test_other_numbers_stay_readable(number):
    assert number in mask_text(f"number {number} is fine")


def test_given_values_are_masked_wherever_they_stand():
    assert mask_text("declined: tok_1 and tok_123", values={"tok_1", "tok_123"}) == f"declined: {MASK} and {MASK}"


def test_a_traceback_loses_its_secrets_and_keeps_its_lines():
    text = (
        "Traceback (most recent call last):\n"
        '  File "/app/orders/payments.py", line 12, in charge\n'
        f"    gateway.charge(token='{SECRET}')\n"
        f"orders.payments.Declined: https://shop:{SECRET}@gateway/charges?api_key={SECRET}\n"
    )
    shown = mask_text(text)
    assert SECRET not in shown
    assert shown.count("\n") == text.count("\n")
    assert '"/app/orders/payments.py", line 12, in charge' in shown


def test_secret_values_are_those_that_mask_hides():
    arguments = {"order_id": 1234567, "card": {"number": VISA, "name": "Bob Smith"}, "login": [{"password": SECRET}]}
    assert secret_values(arguments, sensitive=["card"]) == {VISA, "Bob Smith", SECRET}


def test_short_values_are_not_hunted_for():
    assert secret_values({"token": "123", "password": None, "secret": ""}) == set()


def test_a_flag_that_is_masked_does_not_mask_every_true():
    assert secret_values({"token": True, "secret": False}) == set()


@given(value=json_values)
def test_masking_twice_is_masking_once(value):
    assert mask(mask(value)) == mask(value)


words = st.sampled_from(
    ["password", "token=", ":", "=", '"', "'", " ", "\\", "x", "[redacted]", "bearer ", "https://a:b@c", VISA, ",", "}"]
)


@given(text=st.lists(words, max_size=12).map("".join) | st.text(max_size=60))
def test_masking_a_text_twice_is_masking_it_once(text):
    assert mask_text(mask_text(text)) == mask_text(text)


@given(secret=st.text(alphabet=st.characters(codec="utf-8"), min_size=4, max_size=30), depth=st.integers(0, 5))
def test_no_value_under_a_secret_name_is_left(secret, depth):
    value = {"password": secret}
    for _ in range(depth):
        value = {"inner": [value]}
    shown = mask(value)
    for _ in range(depth):
        shown = shown["inner"][0]
    assert shown == {"password": MASK}


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "token", "a.", "a-", "password ", "1 ", "https://", "bearer ", "token='", 'token="\\', "a:b@", "=x"),
        *(
            "eyJ",
            "eyJ-",
            "eyJaaaaaaaa.",
            "eyJ.",
            "eyJaaaaaaaa.aaaaaaaa ",
            "AKIA",
            "AKIA ",
            "ghp_",
            "github_pat_",
            "AIza-",
        ),
        *(
            "-----BEGIN PRIVATE KEY",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN A PRIVATE KEY ----",
            "-----END PRIVATE KEY",
        ),
        *("xoxb-", "xoxb-a ", "sk_live_", "glpat-", "BEGIN PRIVATE KEY -----BEGIN "),
    ],
)
def test_a_long_text_of_any_kind_is_masked_in_no_time(piece):
    text = piece * (100_000 // len(piece))
    started = time.perf_counter()
    mask_text(text)
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize("write", [str, repr, json.dumps, lambda secret: str(KeyError(secret))])
def test_a_secret_is_found_however_a_message_writes_it(write):
    secret = "pä\"ss\\wo\nrd'"
    values = secret_values({"password": secret})
    assert "wo" not in mask_text(f"refused: {write(secret)}", values=values)


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nzzz=\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "secret",
    [
        *(JWT, KEY, KEY.replace("\n", "\\n"), KEY.replace("RSA ", "")),
        *("AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1" * 18, "github_pat_" + "a1" * 20, "glpat-" + "a1" * 10),
        *("xoxb-1234-5678-abcdef", "sk_live_" + "4a" * 12, "AIza" + "Sy" * 17 + "x"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "refused: {}.", "({})", "\n{}\n", "'{}' is no key", "a={}", "x/{}/y"])
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(secret, around):
    shown = mask_text(around.format(secret))
    assert MASK in shown
    assert not any(part in shown for part in (secret, secret[8:], secret[-12:]) if part.strip("-\n"))


def test_a_private_key_that_was_cut_off_is_masked_to_the_end():
    assert mask_text(f"loaded {KEY[:50]}") == f"loaded {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "orders.charge_order.attempt",
        "eyJ is how they begin",
        "AKIA and others",
        "my_ghp_function()",
        "a PRIVATE KEY is missing",
    ],
)
def test_words_that_only_begin_like_a_secret_stay_readable(text):
    assert mask_text(text) == text


def test_what_a_project_has_learnt_is_masked_also_in_short_texts():
    learn([r"EMP-\d{4,8}"])
    try:
        assert mask({"by": "EMP-2041"}) == {"by": MASK}
    finally:
        learn([])


@pytest.mark.parametrize("pattern", ["(a+)+", r"(\w+\s?)*x", "(?:a|b+)*c", "[", "", "x?", r"((\d{1,})-?)+"])
def test_a_pattern_that_cannot_be_searched_for_is_refused(pattern):
    assert problem_of(pattern)


@pytest.mark.parametrize("pattern", [r"EMP-\d+", r"[\w.]{1,64}@\w{1,63}", r"(?:ab){1,5}", r"\d+-\d+"])
def test_a_pattern_with_bounds_is_taken(pattern):
    assert problem_of(pattern) == ""

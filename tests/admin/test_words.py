"""How the console writes times, lengths, states and arguments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.models import RunState
from jobs.templatetags import jobs_console, jobs_states


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, "—"), (0, "0 ms"), (812, "812 ms"), (2300, "2.3 s"), (95_000, "1 min 35 s"), (7_200_000, "2 h")],
)
def test_lengths_are_short_and_carry_their_unit(milliseconds: int | None, text: str) -> None:
    assert jobs_console.milliseconds(milliseconds) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=5.5), "5 s ago"),
        (timedelta(minutes=3, seconds=59), "3 min ago"),
        (timedelta(days=2, hours=5), "2 d ago"),
        (timedelta(hours=-2, minutes=-1), "in 2 h"),
    ],
)
def test_times_say_how_long_ago(age: timedelta, text: str) -> None:
    assert jobs_console.relative(timezone.now() - age) == text


def test_a_time_is_exact_and_says_utc_in_its_title() -> None:
    at = timezone.now().replace(year=2020, month=5, day=3, hour=14, minute=7, second=9, microsecond=0)
    written = jobs_console.moment(at)
    assert 'datetime="2020-05-03T14:07:09+00:00"' in written
    assert 'title="2020-05-03 14:07:09 UTC"' in written
    assert "2020 14:07:09" in written


@pytest.mark.parametrize("state", RunState.values)
def test_every_state_has_a_word_and_a_shape(state: str) -> None:
    written = jobs_states.state(state)
    assert str(RunState(state).label) in written
    assert 'aria-hidden="true"' in written


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, ""),
        ({"order_id": 42, "card": "[redacted]"}, 'order_id=42, card="[redacted]"'),
        ([1, "é"], '[1, "é"]'),
        ({"text": "x" * 200}, 'text="' + "x" * 73 + "…"),
    ],
)
def test_arguments_fit_in_one_line(arguments: Any, text: str) -> None:
    assert jobs_console.brief(arguments) == text


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("batch 17", "/admin/jobs/batch/17/"),
        ("workflow 4 charge the card", "/admin/jobs/workflow/4/"),
        ("bulk action 3", "/admin/jobs/bulkaction/3/"),
        ("schedule stock & prices", "/admin/jobs/schedule/?q=stock+%26+prices"),
        ("batch seventeen", ""),
        ("batch 9999999999999999999999", ""),
        ("", ""),
    ],
)
def test_what_the_audit_names_leads_to_its_page(target: str, address: str) -> None:
    assert jobs_console.target_address(target) == address

"""How a record is written."""

from __future__ import annotations

import json
import logging
import sys
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import context, logs
from jobs.context import CurrentRun
from jobs.logs import FACTS, AddRun, Formatter, JsonFormatter, PlainFormatter

RUN = CurrentRun(uuid.UUID(int=7), "shop.pack", "default", 2, 5, 30.0, datetime.now(UTC), "host.1", print, "edge-1")


def a_record(message: str = "packed", *args: Any, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    logger = logging.getLogger("orders.services")
    return logger.makeRecord(logger.name, logging.INFO, "x.py", 1, message, args, exc_info, extra=extra)


def as_json(record: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(record)
    assert "\n" not in line
    told: dict[str, Any] = json.loads(line)
    return told


def test_a_record_says_when_who_and_what():
    told = as_json(a_record("packed %s", 7))
    assert datetime.fromisoformat(told.pop("time")).utcoffset().total_seconds() == 0
    assert told == {
        "level": "INFO",
        "logger": "orders.services",
        "message": "packed 7",
        **dict.fromkeys(("job", "run", "attempt", "correlation")),
    }


@pytest.mark.parametrize("formatter", [JsonFormatter(), PlainFormatter()], ids=["json", "plain"])
def test_what_is_logged_within_a_run_names_it(formatter):
    with context.running(RUN):
        line = formatter.format(a_record())
    assert all(word in line for word in ("shop.pack", str(RUN.id), "edge-1"))


def test_what_is_logged_within_a_request_has_its_id():
    with context.correlation("edge-7"):
        told = as_json(a_record())
        line = PlainFormatter().format(a_record())
    assert (told["correlation"], told["run"]) == ("edge-7", None)
    assert line.endswith("INFO orders.services packed correlation=edge-7")


def test_a_filter_gives_it_to_any_handler():
    record = a_record()
    with context.running(RUN):
        assert AddRun().filter(record)
    assert logging.Formatter("%(job)s %(run)s %(attempt)s %(correlation)s").format(record) == (
        f"shop.pack {RUN.id} 2 edge-1"
    )


def test_what_a_record_says_itself_stays():
    record = a_record(job="other", run=None)
    with context.running(RUN):
        told = as_json(record)
    assert (told["job"], told["run"], told["correlation"]) == ("other", None, "edge-1")


def test_a_line_about_an_attempt_has_all_keys_in_both_forms():
    record = a_record(
        **logs.facts(event="attempt ended", job="shop.pack", attempt=2, reason='they said "no"', worker="")
    )
    assert [key for key in as_json(record) if key in FACTS] == list(FACTS)
    plain = PlainFormatter().format(record)
    assert 'event="attempt ended" job=shop.pack run=- queue=- attempt=2 of=- worker=- ' in plain
    assert 'reason="they said \\"no\\""' in plain


def test_nobody_forges_a_plain_line():
    forged = "2026-05-03 12:00:00,000 ERROR jobs.alerts all is lost"
    try:
        raise ValueError(f"no\n{forged}\r{forged}\u2028{forged}")
    except ValueError as error:
        record = a_record("packed %s", f"7\n{forged}\x1b[2J", exc_info=sys.exc_info(), job=str(error))
    first, *others = PlainFormatter().format(record).splitlines()
    assert f"packed 7\\n{forged}\\x1b[2J" in first
    assert others
    assert all(line.startswith("    ") for line in others)


def test_the_setting_chooses_the_form(jobs_settings):
    formatter = Formatter()
    assert formatter.format(a_record()).endswith("packed")
    jobs_settings(LOG_FORMAT="json")
    assert json.loads(formatter.format(a_record()))["message"] == "packed"


@pytest.mark.parametrize("formatter", [JsonFormatter(), PlainFormatter()], ids=["json", "plain"])
def test_secrets_are_masked_wherever_they_stand(formatter):
    try:
        raise ValueError("password=hunter2 refused")
    except ValueError:
        record = a_record(
            "GET https://bob:%s@example.com", "hunter2", exc_info=sys.exc_info(), api_key="hunter2", job="token=hunter2"
        )
    line = formatter.format(record)
    assert "hunter2" not in line
    assert "ValueError" in line


@pytest.mark.parametrize(
    "odd", [object(), float("nan"), {(1, 2): 3}, {"a": {1}}, b"x", datetime.now(UTC)], ids=lambda it: type(it).__name__
)
def test_what_json_does_not_know_is_still_a_line(odd):
    assert as_json(a_record(odd=odd))["message"] == "packed"


def test_what_holds_itself_is_still_a_line():
    turn: list[Any] = []
    turn.append(turn)
    assert as_json(a_record(odd=turn))["message"] == "packed"


@given(message=st.text(max_size=50), value=st.text(max_size=50))
@settings(max_examples=50)
def test_a_line_is_one_line_whatever_is_said(message, value):
    told = as_json(a_record("%s", message, value=value))
    assert told["message"] is not None
    facts = PlainFormatter().format(a_record("x", **logs.facts(event="attempt ended", reason=value)))
    assert len(facts.splitlines()) == 1

"""The last lines that an attempt logged, kept with its failure."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import threading
from typing import Any

import pytest

from jobs import DiscardJob, current_run, recorder
from jobs.broker.claim import Claim
from jobs.models import JobAttempt
from jobs.recorder import rows
from jobs.worker import kept_lines
from tests.engine import make_job as make_job
from tests.engine import work_off

pytestmark = pytest.mark.django_db(transaction=True)
logger = logging.getLogger("shop.packing")


@pytest.fixture(autouse=True)
def _listening(caplog):
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def kept(make_job):
    """The texts that are kept of a job's first attempt."""

    def of(function: Any, *args: Any, **options: Any) -> list[str]:
        make_job(function, **{"retry": 1, **options}).enqueue(*args)
        work_off()
        log = JobAttempt.objects.get().log
        return [text for _, _, _, text in log or []]

    return of


def test_what_was_logged_before_a_failure_is_kept_in_order_with_level_and_logger(make_job):
    def pack() -> None:
        logger.debug("looking")
        logger.info("packing %s", 7)
        current_run().logger.warning("the box is torn")
        raise ValueError("no box")

    job = make_job(pack, retry=1)
    job.enqueue()
    work_off()
    log = JobAttempt.objects.get().log
    assert [line[1:] for line in log] == [
        ["INFO", "shop.packing", "packing 7"],
        ["WARNING", f"jobs.run.{job.name}", "the box is torn"],
    ]
    assert log[0][0] <= log[1][0]


def test_of_a_success_nothing_is_kept(make_job):
    make_job(lambda: logger.warning("the box is torn")).enqueue()
    (ended,) = work_off()
    assert "log" not in ended.entry
    assert not JobAttempt.objects.exists()


def test_a_failure_that_logged_nothing_has_no_lines(kept):
    assert kept(lambda: 1 / 0) == []


def test_each_attempt_has_its_own(make_job):
    def pack() -> None:
        logger.info("attempt %s", current_run().attempt)
        raise DiscardJob

    job = make_job(pack, retry=1)
    for _ in range(2):
        job.enqueue()
    work_off()
    assert [one.log[0][3] for one in JobAttempt.objects.all()] == ["attempt 1"] * 2
    assert [len(one.log) for one in JobAttempt.objects.all()] == [1, 1]


@pytest.fixture
def unheard(monkeypatch):
    """No handler hears the logger, which would print what does not fit."""
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [logging.NullHandler()])


def test_secrets_are_masked(kept):
    def charge(card_token: str) -> None:
        logger.info("charging %s, password=hunter2", card_token)
        raise ValueError

    assert kept(charge, "tok_4711") == ["charging [redacted], password=[redacted]"]


def test_what_cannot_be_stored_is_replaced():
    # By hand: what runs the tests cannot send half of a character on.
    held = Claim("1", "default", "t", {})
    kept_lines.note(held, logger.makeRecord(logger.name, logging.INFO, "x.py", 1, "NUL \x00 half \ud800", (), None))
    assert kept_lines.told(held, secrets=())[0][3] == "NUL \N{REPLACEMENT CHARACTER} half ?"


def test_the_last_ones_are_kept_and_no_more_than_fit(kept):
    def chatter() -> None:
        for number in range(200):
            logger.info("line %s", number)
        raise ValueError

    assert kept(chatter) == [f"line {number}" for number in range(150, 200)]


def test_they_take_ten_kilobytes_at_the_most(kept):
    def shout() -> None:
        for letter in "abcdefghijklmnopqrstuvwxyz":
            logger.info("é" * 500 + letter * 5000)
        raise ValueError

    texts = kept(shout)
    assert len(json.dumps(JobAttempt.objects.get().log)) <= 10_000
    assert {len(text) for text in texts} == {1000}
    assert texts[-1][-1] == "z"


def test_an_error_that_was_logged_is_named(kept):
    def swallow() -> None:
        try:
            raise OSError("line is dead")
        except OSError:
            logger.exception("cannot reach them")
        raise ValueError

    assert kept(swallow) == ["cannot reach them (OSError: line is dead)"]


def test_a_message_that_does_not_fit_costs_nothing(kept, unheard):

    def misspeak() -> None:
        logger.info("%s and %s", 1)
        raise ValueError

    assert kept(misspeak) == ["(the message cannot be told: TypeError)"]


def test_a_thread_that_is_given_the_context_is_heard(kept):
    def pack() -> None:
        carried = contextvars.copy_context()
        for thread in (
            threading.Thread(target=carried.run, args=(logger.info, "from a thread")),
            threading.Thread(target=logger.info, args=("from nowhere",)),
        ):
            thread.start()
            thread.join()
        raise ValueError

    assert kept(pack) == ["from a thread"]


def test_an_async_job_is_heard_also_from_its_threads(kept):
    async def pack() -> None:
        logger.info("loop")
        await asyncio.to_thread(logger.info, "thread")
        raise ValueError

    assert kept(pack) == ["loop", "thread"]


def test_the_level_of_a_logger_holds(kept):
    def pack() -> None:
        logger.setLevel(logging.WARNING)
        try:
            logger.info("quiet")
            logger.warning("loud")
        finally:
            logger.setLevel(logging.NOTSET)
        raise ValueError

    assert kept(pack) == ["loud"]


@pytest.mark.parametrize(
    ("told", "stored"),
    [
        (None, None),
        ("text", None),
        ([], None),
        ([["now", "INFO", "x", "y"], [1, "INFO", "x"], [True, "a", "b", "c"], {}], None),
        ([[1, "INFO", "x", "y"], 7], [[1, "INFO", "x", "y"]]),
    ],
)
def test_a_journal_that_says_nonsense_gives_no_lines(told, stored):
    assert rows._lines(told) == stored


def test_an_entry_of_a_worker_on_the_code_before_is_stored(make_job, monkeypatch):
    monkeypatch.setattr(kept_lines, "are_told", lambda claim, outcome: False)
    make_job(lambda: 1 / 0, retry=1).enqueue()
    work_off()
    recorder.record_all()
    assert JobAttempt.objects.get().log is None

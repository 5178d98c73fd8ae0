"""A wish to stop is heard, however early it comes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from jobs.worker import stopping


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_a_signal_that_comes_before_anybody_listens_is_not_lost():
    heard = []
    stopping.listen()
    os.kill(os.getpid(), signal.SIGTERM)
    stopping.on_stop(lambda signum, frame: heard.append(signum))
    assert heard == [signal.SIGTERM]


def test_without_a_signal_nothing_is_heard_until_one_comes():
    heard = []
    stopping.listen()
    stopping.on_stop(lambda signum, frame: heard.append(signum))
    assert heard == []
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_a_wish_for_quiet_that_comes_before_anybody_listens_is_not_lost():
    heard = []
    stopping.listen()
    os.kill(os.getpid(), signal.SIGTSTP)
    stopping.on_stop(lambda signum, frame: heard.append("stop"))
    stopping.on_quiet(lambda signum, frame: heard.append("quiet"))
    assert heard == ["quiet"]

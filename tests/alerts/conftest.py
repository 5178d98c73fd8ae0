"""Alerts with real channels: a mailbox, a receiver of webhooks, the log and a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from jobs.alerts.watching import Watch
from jobs.models import AlertCheck
from tests.alerts import hook
from tests.alerts.receiver import Receiver, receiving
from tests.partners import mailbox

__all__ = ["mailbox"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What the hook was called with."""
    hook.TOLD.clear()
    hook.RAISES = None
    yield hook.TOLD
    hook.RAISES = None


class Clock:
    """Moves the time on, and looks: a look and all that it sends."""

    def __init__(self, traveller: Any) -> None:
        self._traveller = traveller
        self.watch = Watch("tests")

    def look(self, **later: float) -> None:
        """Move on by so much, look, and wait for what is sent."""
        self.move(**later)
        AlertCheck.objects.update(due_at=timezone.now())
        self.watch.turn()
        self.watch.finish(20)

    def send(self, **later: float) -> None:
        """Move on by so much, and send what is due."""
        self.move(**later)
        AlertCheck.objects.update(due_at=timezone.now() + timedelta(seconds=30))
        self.watch.turn()
        self.watch.finish(20)

    def now(self) -> datetime:
        return timezone.now()

    def move(self, **later: float) -> None:
        if later:
            self._traveller.shift(timedelta(**later))


@pytest.fixture
def clock(db: None) -> Iterator[Clock]:
    with time_machine.travel(datetime.now().astimezone(), tick=True) as traveller:
        yield Clock(traveller)


@pytest.fixture
def alerts_settings(jobs_settings: Callable[..., Any]) -> Callable[..., None]:
    """Change keys of `JOBS["ALERTS"]` for one test: no log unless it is asked for."""

    def change(**choices: Any) -> None:
        jobs_settings(ALERTS={"LOG": False, **choices})

    change()
    return change

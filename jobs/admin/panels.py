"""A part of a page that has its own time limit and fails alone: the others stand while one of them does not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, connection
from django.utils.translation import gettext as _

from jobs.broker.connection import impatient
from jobs.errors import BrokerUnavailable

logger = logging.getLogger(__name__)

Value = TypeVar("Value")
LIMIT_SECONDS = 2.0


@dataclass(frozen=True)
class Panel(Generic[Value]):
    """What a part of a page shows, or `problem`: why it shows nothing."""

    value: Value | None
    problem: str = ""


def load(what: Callable[[], Value]) -> Panel[Value]:
    """What a panel shows. It asks the database for two seconds at the most, and Redis for one."""
    try:
        with impatient(), _interrupted_after(LIMIT_SECONDS):
            return Panel(what())
    except BrokerUnavailable:
        return Panel(None, _("unknown: Redis does not answer"))
    except DatabaseError:
        logger.warning("a panel of the console was left out", exc_info=True)
        return Panel(None, _("unknown: the database took too long, or refused"))
    except Exception:
        # At three in the morning, the rest of the page is worth more than the truth about this part of it.
        logger.exception("a panel of the console failed")
        return Panel(None, _("unknown: this could not be worked out, and the log says why"))


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Stop the database's work on what is asked within. Costs no query.

    Not within a transaction of PostgreSQL, in which nothing could be asked any more.
    """
    if connection.in_atomic_block and connection.vendor != "sqlite":
        yield
        return
    timer = Timer(seconds, _interrupt, [connection.connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _interrupt(driver: Any) -> None:
    """Another thread may: `interrupt` is SQLite's, `cancel` that of PostgreSQL's drivers."""
    stop = getattr(driver, "interrupt", None) or getattr(driver, "cancel", None)
    if stop is not None:
        stop()

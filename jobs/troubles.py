"""What should follow and cannot: said in words that a row can keep, so that it holds up nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from django.db import InterfaceError, OperationalError, connections, router, transaction

from jobs.errors import JobsError
from jobs.models import JobRun
from jobs.policy.redaction import mask_text
from jobs.policy.storable import text

logger = logging.getLogger(__name__)

LONGEST = 500


def is_outage(error: Exception) -> bool:
    """Whether our database is away, which says nothing of what was tried. Another one, or a timeout, does."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return not connections[router.db_for_write(JobRun)].is_usable()


def of(what: str, act: Callable[[], object]) -> str:
    """Do it in a savepoint; returns why that cannot be, empty where it was done. Raises the database's errors only
    where it is away."""
    try:
        with transaction.atomic(using=router.db_for_write(JobRun)):
            act()
    except JobsError as error:
        return _words(f"{what}: {error}")
    # What somebody wrote may raise anything, and a row that was edited by hand may say anything.
    except Exception as error:
        if is_outage(error):
            raise
        logger.debug("%s", what, exc_info=True)
        return _words(f"{what}: {named(error)}")
    return ""


def named(error: Exception) -> str:
    """An error that nobody foresaw, in words that a row can keep."""
    return _words(f"{type(error).__name__}: {error}")


def together(troubles: Iterable[str], *, before: str, whose: str, **facts: object) -> str:
    """Several as one, for the row that had `before`. What is new is logged."""
    trouble = " ".join(troubles)[:LONGEST]
    if trouble and trouble != before:
        logger.error("%s: %s", whose, trouble, extra=facts)
    return trouble


def _words(said: str) -> str:
    return mask_text(text(said))[:LONGEST]

"""Goes through everything that is looked at. What one look cannot see does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from django.db import Error

from jobs.broker.connection import impatient
from jobs.errors import BrokerUnavailable
from jobs.health.doctor import servers, settings, work
from jobs.health.doctor.finding import ERROR, Finding

logger = logging.getLogger(__name__)

_LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (*settings.LOOKS, *servers.LOOKS, *work.LOOKS)


def examine() -> list[Finding]:
    """What is to be changed, errors first. Raises nothing where Redis or the database is away: that is a finding."""
    found: list[Finding] = []
    with impatient():
        for look in _LOOKS:
            found += _seen_by(look)
    unique = {one.id + one.what: one for one in found}
    return sorted(unique.values(), key=lambda one: one.level != ERROR)


def _seen_by(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(look())
    except (Error, BrokerUnavailable) as error:
        # That it does not answer is said once, by the look at servers.
        logger.debug("not looked at", extra={"look": look.__name__, "error": str(error)})
        return []

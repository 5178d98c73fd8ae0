"""Redis has the pauses as their rows say, and a pause whose time has come is over."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from django.db import router, transaction
from django.utils import timezone

from jobs import audit
from jobs.broker import pauses as copies
from jobs.errors import BrokerUnavailable
from jobs.models import QueuePause

logger = logging.getLogger(__name__)

# Who ended a pause whose time was over.
EXPIRY = "expiry"
# So often a pause may change while it is told; the next look tells it again.
_ROUNDS = 3


def tend() -> None:
    """End the pauses whose time has come, and see that Redis has the others as their rows say.

    May be repeated, by two at once too. Raises `BrokerUnavailable` or a database error.
    """
    _expire()
    for _ in range(_ROUNDS):
        # In this order: what a verb writes meanwhile is found by the next look.
        there, wanted = copies.published(), _wanted()
        if there == wanted:
            return
        _publish(wanted, there)


def tell(queues: Iterable[str]) -> None:
    """Tell Redis of these queues; if it cannot hear, `tend` tells it later."""
    names = list(queues)
    wanted = {queue: until for queue, until in _wanted().items() if queue in names}
    try:
        copies.publish(wanted)
        copies.forget([queue for queue in names if queue not in wanted])
    except BrokerUnavailable as error:
        logger.warning("Redis is told of a pause once it answers again: %s", error)


def _wanted() -> dict[str, int]:
    rows = QueuePause.objects.filter(resumed_at__isnull=True).values_list("queue", "until")
    return {queue: int(until.timestamp() * 1000) if until else copies.NO_END for queue, until in rows}


def _publish(wanted: Mapping[str, int], there: Mapping[str, int]) -> None:
    copies.publish({queue: until for queue, until in wanted.items() if there.get(queue) != until})
    copies.forget(there.keys() - wanted.keys())


def _expire() -> None:
    over = QueuePause.objects.filter(resumed_at__isnull=True, until__lte=timezone.now())
    for row in over:
        with transaction.atomic(using=router.db_for_write(QueuePause)):
            mine = QueuePause.objects.filter(pk=row.pk, resumed_at__isnull=True)
            if mine.update(resumed_at=row.until, resumed_by=EXPIRY):
                target = f"queue {row.queue}"
                audit.record(actor=EXPIRY, action="resume_queue", target=target, reason="its time was over")
                logger.info("%s goes on: its pause is over", row.queue, extra={"queue": row.queue})

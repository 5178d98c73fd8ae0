"""Compares Redis with the rows when it is not the server that it was, and now and then without such a cause.

1. A claim finds that `jobs:epoch` is not this server's id, and takes nothing. See `jobs.broker.epoch`.
2. `reconcile` stores what is in the journal, all of it, whatever the cursor says: a server that went back in time
   may give out again, or have, ids of entries that lie behind it.
3. It removes the runs whose rows have ended, pushes what never came to Redis, and puts back those that their rows call
   pending and no place holds.
4. It tells Redis of the fuses and pauses, writes the server's id to `jobs:epoch`, and the claims go on.

Two processes may do it at once, and one may die in the middle: each step may be repeated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from jobs import conf, fuses, lost, queues, recorder, relay
from jobs.broker import epoch, places

logger = logging.getLogger(__name__)

Proceed = Callable[[], bool]

# How long nothing may be heard of it: its claims are closed meanwhile, and people wait.
_TELL_SECONDS = 10.0


@dataclass
class Reconciled:
    """`complete` is False when it was stopped, or the server changed again meanwhile."""

    removed: int = 0
    restored: int = 0
    complete: bool = False


def is_needed(*, thoroughly: bool = False) -> bool:
    """Whether Redis must be compared with the rows before anything is claimed. Raises `BrokerUnavailable`.

    `thoroughly` also asks the rows: a server that was worked on, left for another and taken up again knows nothing
    of what happened there. Its claims are closed.
    """
    now = epoch.look()
    if not now.is_current:
        return True
    if not thoroughly or recorder.epoch() in ("", now.accepted):
        return False
    epoch.refuse()
    return True


def reconcile(owner: str, *, proceed: Proceed = lambda: True) -> Reconciled:
    """Compare Redis with the rows and open the claims; `owner` names this process.

    `proceed` is asked between two steps of some hundred runs, and ends the work when it says no.
    Raises `BrokerUnavailable` or a database error, and may be called again after either.
    """
    began = time.monotonic()
    before = epoch.begin(owner)
    done = Reconciled()
    proceed = _telling(done, proceed)
    recorder.start_over()
    recorder.record_all()
    if not (_remove_ended(done, proceed) and _push_left_behind(proceed) and _restore_lost(done, proceed)):
        return done
    # Before anything is claimed that a fuse should catch, or a pause hold.
    fuses.tend()
    queues.tend()
    recorder.record_epoch(before.server or "unknown")
    done.complete = epoch.accept(owner)
    _tell(done, was_new=not before.accepted, seconds=time.monotonic() - began)
    return done


def _telling(done: Reconciled, proceed: Proceed) -> Proceed:
    """`proceed`, which also says now and then in the log how far the work is."""
    tell_at = time.monotonic() + _TELL_SECONDS

    def tell_and_proceed() -> bool:
        nonlocal tell_at
        if time.monotonic() >= tell_at:
            tell_at = time.monotonic() + _TELL_SECONDS
            facts = {"removed": done.removed, "restored": done.restored}
            words = "Redis is being compared with the rows: %s runs removed, %s put back so far"
            logger.info(words, done.removed, done.restored, extra=facts)
        return proceed()

    return tell_and_proceed


def _tell(done: Reconciled, *, was_new: bool, seconds: float) -> None:
    facts = {"removed": done.removed, "restored": done.restored, "seconds": round(seconds, 1)}
    words = "was compared with the rows" if done.complete else "changed again while it was compared with the rows"
    # A new server and new rows are no cause for alarm.
    log = logger.info if was_new and not (done.removed or done.restored) else logger.warning
    log("Redis %s in %.1f s: %s runs removed, %s put back", words, seconds, done.removed, done.restored, extra=facts)


def _remove_ended(done: Reconciled, proceed: Proceed) -> bool:
    for found in places.scan_all():
        if not proceed():
            return False
        done.removed += lost.remove_ended(found)
    return True


def _push_left_behind(proceed: Proceed) -> bool:
    """What was asked for while Redis was away never was there. A push counts it as enqueued, to restore does not."""
    while relay.relay():
        if not proceed():
            return False
    return True


def _restore_lost(done: Reconciled, proceed: Proceed) -> bool:
    waiting = places.listed(conf.queue_names())
    for rows in lost.pending():
        if not proceed():
            return False
        missed = [row.pk for row, place in lost.find(rows, waiting=waiting) if place in ("lost", "behind")]
        done.restored += len(lost.restore(missed)) if missed else 0
    return True

"""What any supervisor does for all: takes back what dead or silent workers held."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from jobs import conf
from jobs.broker import claim as claims
from jobs.broker import foreign_ending, inspect, stops
from jobs.broker.claim import WorkerId
from jobs.broker.settle import settle
from jobs.errors import BrokerUnavailable
from jobs.policy.outcome import Abandoned, Crashed, Interrupted, Outcome
from jobs.worker import lifecycle, orders
from jobs.worker.tokens import number_of

logger = logging.getLogger(__name__)

# How so many attempts have ended together, by what is known of the end of their worker.
_EndOfMany = Callable[[int], Outcome]


def tell_of_server() -> None:
    """Log what is wrong with the server, as `check --deploy` would. Raises `BrokerUnavailable`."""
    for one in inspect.unfit(inspect.server()):
        logger.warning("%s %s (%s)", one.problem, one.cure, one.check)


def reclaim_dead(worker: WorkerId, *, crashed: bool, latest_begun: int | None = None) -> int:
    """Take back what a process held whose death is certain. Returns how many runs that were.

    `latest_begun` is the number of the last claim that it began with: what it claimed after that never started, and
    had no part in its end. None is for one that nobody knows.

    Raises `BrokerUnavailable`. What fails otherwise is logged, and left to `reclaim_silent`.
    """
    # While its lease lasts nobody else takes anything back: another supervisor, to whom it is only silent, would hand
    # a run that killed it back to where it kills the next one, uncounted.
    end = _crashed if crashed else _interrupted
    taken = _guarded(worker, end, latest_begun=latest_begun, is_gone=True)
    claims.end_lease(worker.id)
    return taken


def reclaim_silent(worker_id: str) -> int:
    """Take back what a worker held whose lease has ended. Returns how many runs that were.

    Raises `BrokerUnavailable`. What fails otherwise is logged, and tried again while the lease is there.
    """
    return _guarded(WorkerId(worker_id.rpartition("/")[0], worker_id), _abandoned)


def reclaim_all_silent(worker_ids: Iterable[str]) -> int:
    """`reclaim_silent` for each of them: one that fails does not keep the others.

    Raises `BrokerUnavailable` once all were tried, if it came up.
    """
    taken, refused = 0, None
    for worker_id in worker_ids:
        try:
            taken += reclaim_silent(worker_id)
        except BrokerUnavailable as error:
            refused = error
    if refused is not None:
        raise refused
    return taken


def release_waiting(queues: Sequence[str]) -> None:
    """Enqueue what plain RQ deferred and nothing keeps waiting any more, where plain RQ's jobs are allowed.

    Raises `BrokerUnavailable`. What fails otherwise is logged, and tried again the next time.
    """
    if not conf.get().FOREIGN_JOBS:
        return
    try:
        foreign_ending.release_waiting(queues)
    except BrokerUnavailable:
        raise
    # RQ's own code reads what anybody may have written.
    except Exception:
        logger.exception("what waits for other jobs of plain RQ could not be looked at")


def _crashed(count: int) -> Outcome:
    return Crashed(alone=count == 1)


def _interrupted(count: int) -> Outcome:
    return Interrupted()


def _abandoned(count: int) -> Outcome:
    return Abandoned()


def _guarded(worker: WorkerId, end: _EndOfMany, *, latest_begun: int | None = None, is_gone: bool = False) -> int:
    try:
        return _reclaim(worker, end, latest_begun=latest_begun, is_gone=is_gone)
    except BrokerUnavailable:
        raise
    # Who supervises must go on, whatever one worker left.
    except Exception:
        logger.exception("what %s held could not be taken back", worker.id, extra={"worker": worker.name})
        return 0


def _reclaim(worker: WorkerId, end: _EndOfMany, *, latest_begun: int | None, is_gone: bool) -> int:
    held = claims.held_by(worker.id)
    unbegun = [claim for claim in held if latest_begun is not None and number_of(claim.token) > latest_begun]
    begun = [claim for claim in held if claim not in unbegun]
    ordered = stops.orders(begun)
    orders.note(ordered)
    outcome = end(len(begun))
    ended = [lifecycle.conclude(claim, outcome, worker=worker.name, run_ms=0) for claim in begun]
    orders.forget(ordered)
    ended += lifecycle.returned_unbegun(unbegun)
    taken = sum(settle(worker, ended, only_ended=not is_gone))
    claims.forget_worker(worker.id)
    if taken:
        names = ", ".join(sorted({claim.name for claim in held}))
        facts = {"worker": worker.name, "count": taken}
        # What is limited is left to us by every process that stops in time.
        level = logging.INFO if isinstance(outcome, Interrupted) else logging.WARNING
        logger.log(level, "taken back from %s (%s): %s of %s", worker.id, outcome.name, taken, names, extra=facts)
    return taken

"""One process that works: claims runs, lets threads run them, settles what has ended.

1. `_exchange` settles what the threads have finished and claims as many runs as there are free threads, and a few
   more while they are short, in one round trip.
2. The threads run them; what ends wakes the loop, unless enough is still in hand.
3. `_wait` blocks until there is work, an end, or a signal.
4. At SIGTERM it stops claiming, waits for what runs, hands the rest back, and ends.
5. At SIGTSTP it is quiet: it stops claiming, and goes on with what runs until SIGTERM comes.
6. When a limit is passed, or a job will not end, it retires: it stops claiming, waits for what runs, and ends; the
   supervisor starts another in its place. A run that will not end is settled as timed out. See `ending`.

Only this loop talks to Redis about claims, so nothing is settled twice or out of order.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
import time

from jobs import conf, failpoints
from jobs.broker import claim as claims
from jobs.broker import inspect, journal, stops
from jobs.broker.claim import Claim, ClaimsPaused, WorkerId
from jobs.broker.schedule import tick
from jobs.broker.settle import Settlement, settle, settle_and_claim
from jobs.broker.waiting import Waiting
from jobs.errors import BrokerUnavailable, JobTimedOut
from jobs.policy.backoff import exponential
from jobs.policy.outcome import Interrupted, Outcome, TimedOut
from jobs.worker import deadlines, entries, iteration, lifecycle, orders
from jobs.worker.counting import Counting
from jobs.worker.ending import Ending
from jobs.worker.hand import Hand
from jobs.worker.options import WorkerOptions
from jobs.worker.pulse import Pulse
from jobs.worker.registration import Registration
from jobs.worker.telling import Telling
from jobs.worker.threads import Running

logger = logging.getLogger(__name__)

# How long the loop may sleep: what is late in it is late by this much at the most.
_NAP_SECONDS = 1.0
# The same while runs wait in hand: what has ended is settled this late at the most.
_BUSY_NAP_SECONDS = 0.01
_SWITCH_SECONDS = 0.001
# An attempt that runs longer is shown as running; a shorter one is told of when it ends.
_ANNOUNCED_AFTER_SECONDS = 0.5
# What a job may take to end after its time limit struck: enough to roll back and to close a connection.
_STUCK_SECONDS = 5.0
# What a job that looks at `stopping()` gets to end by itself once its run is to be stopped.
_STOP_GRACE_SECONDS = 1.0
# The same for one that iterates: it ends between two items.
_ITEM_GRACE_SECONDS = 10.0
# How often to look for runs that this process holds and does not know of.
_HELD_LOOK_SECONDS = 10.0
# How long until claims that are paused are tried again.
_PAUSE_SECONDS = 0.2
# The same for queues that are paused: one that is resumed starts within a second.
_PAUSED_QUEUES_NAP_SECONDS = 0.5
_reconnect_wait = exponential(first=0.1, cap=2.0)


class Child:
    """See the module. `run` returns when the work is over; the process then ends with `os._exit`."""

    def __init__(self, worker: WorkerId, options: WorkerOptions, pulse: Pulse) -> None:
        self._worker = worker
        self._pulse = pulse
        self._options = options
        self._waiting = Waiting(options.queues)
        self._hand = Hand(
            options.concurrency,
            worker=worker.name,
            pulse=pulse,
            is_alone=options.is_alone,
            ended=self._waiting.wake,
        )
        self._ending = Ending(options, worker=worker.name, heard=self._waiting.wake)
        self._registration: Registration | None = None
        self._announced: set[str] = set()
        self._claimed_in_all = 0
        self._renewed_at = 0.0
        self._failures = 0
        self._idle_since = time.monotonic()
        self._orders_at = 0.0
        self._held_look_at = 0.0
        self._announce_at = 0.0
        self._paused = ""
        self._paused_queues: frozenset[str] = frozenset()
        self._telling = Telling()
        self._counting = Counting()

    def run(self) -> None:
        self._ending.listen()
        # The loop must come to its turn while jobs compute, or what is in hand runs out before the next is claimed.
        sys.setswitchinterval(_SWITCH_SECONDS)
        while not self._is_over():
            try:
                self._step()
                self._failures = 0
            except BrokerUnavailable as error:
                self._outlive(error)
        self._leave()

    def _step(self) -> None:
        self._pulse.beat()
        if self._failures:
            self._hand_back_unknown()
        self._exchange()
        self._pulse.beat()
        self._hear_orders()
        next_limit = deadlines.strike_late()
        self._ending.note_stuck(self._hand.stuck(_STUCK_SECONDS))
        self._ending.note_begun(self._claimed_in_all - self._hand.waiting)
        self._renew()
        self._look_for_unknown()
        self._beat()
        if not self._is_over():
            self._wait(next_limit)
        self._announce()
        self._telling.tell(self._hand.at_work)
        self._counting.tell()

    def _exchange(self) -> None:
        """Settle and claim."""
        self._collect()
        if not self._ending.may_claim or self._hand.is_overdue():
            self._claimed_in_all -= self._hand.put_back()
        room = self._room()
        ended = list(self._hand.unsettled)
        if not ended and not room:
            return
        if failpoints.armed and ended:
            failpoints.reach("before_settle")
        if room:
            accepted, claimed = self._settle_and_claim(ended, self._hand.fresh_tokens(room))
        else:
            accepted, claimed = settle(self._worker, ended), []
        if failpoints.armed and ended:
            failpoints.reach("after_settle")
        self._forget_settled(ended, accepted)
        if failpoints.armed and claimed:
            failpoints.reach("after_claim")
        self._hand.take(claimed, asked=room)
        self._claimed_in_all += len(claimed)

    def _settle_and_claim(self, ended: list[Settlement], tokens: list[str]) -> tuple[list[bool], list[Claim]]:
        try:
            accepted, claimed = settle_and_claim(self._worker, ended, tokens, self._options.queues_in_order())
        except ClaimsPaused as pause:
            self._tell_of_pause(pause)
            return pause.accepted, []
        if self._paused:
            logger.info("%s claims again", self._worker.name, extra={"worker": self._worker.name})
            self._paused = ""
        self._renewed_at = time.monotonic()
        self._paused_queues = claimed.paused
        return accepted, claimed

    def _tell_of_pause(self, pause: ClaimsPaused) -> None:
        if self._paused == pause.why:
            return
        self._paused = pause.why
        logger.warning("%s", pause, extra={"worker": self._worker.name, "why": pause.why})
        if pause.why == "epoch":
            # Who records waits for the next thing that happens.
            with contextlib.suppress(BrokerUnavailable):
                journal.wake()

    def _collect(self) -> None:
        if self._hand.collect():
            self._announced = {token for token in self._announced if token in self._hand}
            self._idle_since = time.monotonic()

    def _room(self) -> int:
        """How many runs may be claimed now."""
        if not self._ending.may_claim:
            return 0
        room = self._hand.room()
        for most in (self._options.max_jobs, self._options.max_jobs_per_child):
            if most is not None:
                room = min(room, most - self._claimed_in_all)
        return max(0, room)

    def _forget_settled(self, ended: list[Settlement], accepted: list[bool]) -> None:
        for settlement, fine in zip(ended, accepted, strict=True):
            self._hand.unsettled.popleft()
            if fine:
                self._counting.note(settlement)
            else:
                facts = {"job": settlement.claim.name, "run": settlement.claim.run_id}
                logger.warning("%s was settled by another worker meanwhile", settlement.claim.name, extra=facts)

    def _wait(self, next_limit: float | None) -> None:
        seconds = self._nap() if next_limit is None else min(self._nap(), next_limit)
        # Work that may not be claimed would end the wait at once.
        for_work = self._room() > 0 and not self._paused
        self._waiting.wait(max(0.0, seconds), for_work=for_work, but=self._paused_queues)

    def _nap(self) -> float:
        if self._paused:
            return _PAUSE_SECONDS
        if self._hand.waiting:
            return _BUSY_NAP_SECONDS
        return _PAUSED_QUEUES_NAP_SECONDS if self._paused_queues else _NAP_SECONDS

    def _announce(self) -> None:
        """Tell the journal of attempts that have been running for a moment."""
        now = time.monotonic()
        if now < self._announce_at:
            return
        self._announce_at = now + _ANNOUNCED_AFTER_SECONDS
        before = now - _ANNOUNCED_AFTER_SECONDS
        fresh = [
            (claim.token, entries.started(claim, worker=self._worker.name))
            for claim, since in self._hand.at_work()
            if since < before and claim.token not in self._announced and claim.durable
        ]
        if fresh:
            journal.announce(self._worker, fresh)
            self._announced.update(token for token, _ in fresh)

    def _hear_orders(self) -> None:
        """Stop the runs that somebody wants to end; a short one is not asked about."""
        now = time.monotonic()
        if now < self._orders_at:
            return
        self._orders_at = now + _NAP_SECONDS
        long = [claim for claim, since in self._hand.at_work() if since < now - _ANNOUNCED_AFTER_SECONDS]
        found = stops.orders(long)
        orders.note(found)
        iterating = {claim.token for claim in long if claim.token in found and iteration.is_of(claim.name)}
        self._hand.stop_attempts(found.keys() - iterating, grace=_STOP_GRACE_SECONDS)
        self._hand.stop_attempts(iterating, grace=_ITEM_GRACE_SECONDS)

    def _renew(self) -> None:
        """Keep the lease while there is no room to claim: the supervisor does it too, and may be gone."""
        if time.monotonic() - self._renewed_at > conf.get().LEASE / 3:
            tick([self._worker.id], [])
            self._renewed_at = time.monotonic()

    def _beat(self) -> None:
        if self._registration is None:
            self._registration = Registration(self._worker.name, self._options.queues, facts=self._facts())
            self._registration.birth()
        self._registration.beat(busy=min(len(self._hand), self._options.concurrency), quiet=self._ending.is_quiet)

    def _facts(self) -> dict[str, str | int]:
        """What is told of this process beside what RQ knows."""
        return {
            "id": self._worker.id,
            "kind": "alone" if self._options.is_alone else "child",
            "supervisor": self._options.supervisor,
            "threads": self._options.concurrency,
            "release": conf.release(),
        }

    def _is_over(self) -> bool:
        if self._ending.has_begun:
            self._collect()
            done = not self._hand.unsettled and len(self._hand) == len(self._ending.stuck)
            return done or self._ending.is_late
        if self._hand or self._hand.unsettled or self._ending.is_quiet:
            return False
        if self._options.max_jobs is not None and self._claimed_in_all >= self._options.max_jobs:
            return True
        if self._options.burst and not self._paused and self._claimed_nothing():
            return True
        idle = time.monotonic() - self._idle_since
        return self._options.max_idle_time is not None and idle >= self._options.max_idle_time

    def _claimed_nothing(self) -> bool:
        try:
            open_queues = [queue for queue in self._options.queues if queue not in self._paused_queues]
            return not (open_queues and inspect.anything_queued(open_queues))
        except BrokerUnavailable:
            return False

    def _look_for_unknown(self) -> None:
        """A claim that we gave up may arrive late: the network goes on sending what a closed connection wrote."""
        now = time.monotonic()
        if now < self._held_look_at:
            return
        self._held_look_at = now + _HELD_LOOK_SECONDS
        if claims.held_count(self._worker.id) > len(self._hand) + len(self._hand.unsettled):
            self._hand_back_unknown()

    def _hand_back_unknown(self) -> None:
        """After a lost answer we may hold runs that we do not know of."""
        ended = {settlement.claim.token for settlement in self._hand.unsettled}
        held = claims.held_by(self._worker.id)
        unknown = [claim for claim in held if claim.token not in self._hand and claim.token not in ended]
        settle(self._worker, lifecycle.returned_unbegun(unknown))

    def _outlive(self, error: BrokerUnavailable) -> None:
        self._failures += 1
        self._pulse.beat()
        log = logger.error if self._failures == 1 else logger.debug
        log("%s", error, extra={"worker": self._worker.name})
        # A wait that was under way may hear only now that its connection is gone.
        with contextlib.suppress(BrokerUnavailable):
            self._waiting.wait(_reconnect_wait(self._failures), for_work=False)
        deadlines.strike_late()
        self._ending.note_stuck(self._hand.stuck(_STUCK_SECONDS))

    def _leave(self) -> None:
        self._hand.put_back()
        left = self._hand.drop()
        try:
            settle(self._worker, [*self._hand.unsettled, *map(self._given_up, filter(self._may_hand_back, left))])
            self._counting.tell(at_once=True)
            claims.forget_worker(self._worker.id)
            if self._registration is not None:
                self._registration.death()
        except BrokerUnavailable:
            # The lease ends by itself, and another worker takes back what is left.
            logger.warning("could not say goodbye to Redis", extra={"worker": self._worker.name})
        if left:
            logger.info("%s runs handed back", len(left), extra={"worker": self._worker.name})
        if self._ending.is_retirement:
            self._pulse.say_retired()
        else:
            self._pulse.say_over()

    def _may_hand_back(self, running: Running) -> bool:
        """Its thread goes on until this process is gone. Who limits it counts it until then: the supervisor hands it
        back; but that a run would not end is known here alone."""
        return not running.claim.is_limited or running.claim.token in self._ending.stuck

    def _given_up(self, running: Running) -> Settlement:
        outcome: Outcome = Interrupted()
        if running.claim.token in self._ending.stuck:
            outcome = TimedOut(JobTimedOut("it passed its time limit and would not end"))
        run_ms = round((time.monotonic() - running.since) * 1000)
        return lifecycle.conclude(running.claim, outcome, worker=self._worker.name, run_ms=run_ms)


def fresh_id(name: str) -> WorkerId:
    """An id for one process's life, which no other process has or had."""
    return WorkerId(name, f"{name}/{os.getpid()}-{secrets.token_hex(4)}")

"""What a process has claimed and not yet settled: at work in its threads, or waiting in hand for one of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence, Set

from jobs.broker.claim import Claim
from jobs.broker.settle import Settlement
from jobs.worker import lifecycle, orders
from jobs.worker.pace import Pace
from jobs.worker.pulse import Pulse
from jobs.worker.threads import Running, Threads
from jobs.worker.tokens import Tokens, number_of

# What no thread has come to for so long waits behind long runs, and others shall have it.
_PATIENCE_SECONDS = 0.1
# The same where threads come to one after the other, but ever more slowly. Pauses of the machine are shorter.
_LONGEST_SECONDS = 0.25


class Hand:
    """1. `take` gives claimed runs to the threads: to free ones, and a few more while runs are short.
    2. `collect` moves what has ended to `unsettled`.
    3. `put_back` takes from the threads what none of them has begun, to be returned as if it had not been claimed.
    """

    def __init__(
        self, concurrency: int, *, worker: str, pulse: Pulse, is_alone: bool, ended: Callable[[], None]
    ) -> None:
        self.unsettled: deque[Settlement] = deque()
        self._concurrency = concurrency
        self._is_alone = is_alone
        self._pulse = pulse
        self._pace = Pace(concurrency)
        self._tokens = Tokens()
        self._threads = Threads(concurrency, worker=worker, pulse=pulse, ended=ended)
        self._claimed: dict[str, Claim] = {}
        self._begun, self._begun_at = 0, 0.0
        # When the claims up to a number were taken, for those that no thread may have begun.
        self._taken: deque[tuple[int, float]] = deque()

    def __len__(self) -> int:
        """How many runs are claimed and have not ended."""
        return len(self._claimed)

    def __contains__(self, token: str) -> bool:
        """Whether a run of this token is claimed and has not ended."""
        return token in self._claimed

    @property
    def waiting(self) -> int:
        """How many runs wait in hand for a thread."""
        return self._threads.waiting

    def room(self) -> int:
        """How many more may be claimed now."""
        ahead = 0 if self._is_alone else self._pace.ahead
        return max(0, self._concurrency + ahead - len(self._claimed))

    def fresh_tokens(self, count: int) -> list[str]:
        """Tokens for a claim."""
        return self._tokens.fresh(count)

    def take(self, claims: Sequence[Claim], *, asked: int) -> None:
        """Let the threads run these, of `asked` that there was room for."""
        self._pace.note_claimed(len(claims), asked=asked)
        # Until half of what waits is begun, nobody need hear of each that ends.
        self._threads.enough = self._pace.ahead // 2
        for claim in claims:
            self._claimed[claim.token] = claim
            self._threads.hand_out(claim)
        if claims:
            self._taken.append((number_of(claims[-1].token), time.monotonic()))

    def collect(self) -> int:
        """Move what has ended since the last call to `unsettled`; how many that are."""
        ended = self._threads.collect()
        for settlement in ended:
            self._claimed.pop(settlement.claim.token, None)
            self.unsettled.append(settlement)
        orders.forget([settlement.claim.token for settlement in ended])
        self._pace.note_ended(len(ended), now=time.monotonic())
        return len(ended)

    def is_overdue(self) -> bool:
        """Whether what waits in hand has waited for long, because runs take longer than those before."""
        begun, now = self._pulse.latest_begun, time.monotonic()
        if begun != self._begun or not self.waiting:
            self._begun, self._begun_at = begun, now
        while self._taken and self._taken[0][0] <= begun:
            self._taken.popleft()
        oldest = self._taken[0][1] if self._taken else now
        return now - self._begun_at > _PATIENCE_SECONDS or now - oldest > _LONGEST_SECONDS

    def put_back(self) -> int:
        """Take back what no thread has begun, to be settled as not claimed. Returns how many runs that are."""
        unbegun = self._threads.take_back()
        self._pace.reset()
        self._threads.enough = 0
        self._taken.clear()
        for claim in unbegun:
            del self._claimed[claim.token]
        self.unsettled += lifecycle.returned_unbegun(unbegun)
        return len(unbegun)

    def at_work(self) -> list[Running]:
        """What the threads run, with since when."""
        return self._threads.at_work()

    def stuck(self, seconds: float) -> dict[str, Claim]:
        """What has not ended within `seconds` after its time limit struck, by token."""
        return {claim.token: claim for claim in self._threads.stuck(seconds) if claim.token in self._claimed}

    def stop_attempts(self, tokens: Set[str], *, grace: float) -> None:
        """See `Threads.stop_attempts`."""
        self._threads.stop_attempts(tokens, grace=grace)

    def drop(self) -> list[Running]:
        """Run nothing more. Returns what is given up with that."""
        self._threads.stop()
        self.collect()
        since = {running.claim.token: running.since for running in self.at_work()}
        now = time.monotonic()
        return [Running(claim, since.get(token, now)) for token, claim in self._claimed.items()]

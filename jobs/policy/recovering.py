"""Whether dead jobs may be revived by a rule now, and how many. Reads no clock and knows no rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

# What says that a partner did not answer, and nothing of what it was asked: builtins, socket, urllib3, requests, httpx,
# and this package's own.
_TRANSIENT = re.compile(
    r"Time(d)?Out|Timeout|Connection(Refused|Reset|Aborted)?Error|ConnectError|NewConnection|MaxRetry|BrokenPipe"
    r"|RemoteDisconnected|RemoteProtocolError|ProtocolError|Unreachable|ServerDisconnected|CircuitOpen"
)
_LONGEST_REST = timedelta(hours=1)


@dataclass(frozen=True)
class Rule:
    """`jobs` is a pattern of names; `errors` are classes, the usual ones when empty; `per_hour` and `rest` are limits:
    so many an hour, and so long after a death or a try that failed.
    """

    jobs: str = "*"
    errors: tuple[str, ...] = ()
    per_hour: int = 500
    rest: timedelta = timedelta(minutes=5)

    def covers(self, name: str, error_class: str) -> bool:
        """Whether a dead job of this name and error is meant."""
        return fnmatchcase(name, self.jobs) and self._is_meant(error_class)

    def _is_meant(self, error_class: str) -> bool:
        if not self.errors:
            return is_transient(error_class)
        return error_class in self.errors or error_class.rpartition(".")[2] in self.errors


@dataclass(frozen=True)
class Try:
    """A bulk action that the rule asked for: what it has revived, and whether it stopped by itself or goes on."""

    asked_at: datetime
    revived: int
    stopped: bool
    is_open: bool = False


def is_transient(error_class: str) -> bool:
    """Whether an error of this class says that somebody could not be reached.

    >>> is_transient("requests.exceptions.ReadTimeout"), is_transient("ValueError")
    (True, False)
    """
    return bool(_TRANSIENT.search(error_class.rpartition(".")[2]))


def budget(rule: Rule, tries: Sequence[Try], *, now: datetime) -> int:
    """How many the rule may revive now, by its tries, the latest first.

    None while one goes on. After a try that stopped it rests, twice as long after each in a row, an hour at the most.
    """
    if tries and tries[0].is_open:
        return 0
    stopped = next((count for count, one in enumerate(tries) if not one.stopped), len(tries))
    if stopped and now < tries[0].asked_at + min(_LONGEST_REST, rule.rest * 2 ** min(stopped, 10)):
        return 0
    lately = sum(one.revived for one in tries if now - one.asked_at < timedelta(hours=1))
    return max(0, rule.per_hour - lately)

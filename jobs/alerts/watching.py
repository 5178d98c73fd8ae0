"""Looks at the rules when it is time, and sends what is to be told: what each recording process does in a thread.

Only this thread asks the database. What is sent is sent by others, so no channel holds up the next look.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial

from django.db import DatabaseError, InterfaceError, OperationalError

from jobs.alerts import channels, choices, evaluating, messages, notices
from jobs.alerts.looking import SILENT_AFTER
from jobs.alerts.outbound import Ended, Outbound
from jobs.models import IncidentNotice
from jobs.policy.backoff import exponential

logger = logging.getLogger(__name__)

_HEARTBEAT = "heartbeat"
_SHORTEST_WAIT_SECONDS = 0.5
_OUTAGES = (DatabaseError, InterfaceError)
_retry_wait = exponential(first=1.0, cap=15.0)


class Watch:
    """One process's part in it. `by` is how it is called on pages."""

    def __init__(self, by: str) -> None:
        self._by = by
        self._outbound = Outbound()
        # What has ended and stands in no row yet: while the database is away, or is locked.
        self._unnoted: list[Ended] = []
        self._failures = 0
        self._failing_since = 0.0
        self._is_alarmed = False
        self._heartbeat_failed = False

    @property
    def is_failing(self) -> bool:
        """Whether the latest turn failed."""
        return self._failures > 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being sent."""
        return self._outbound.is_idle

    def wake(self) -> None:
        """Let the turn that waits go on."""
        self._outbound.wake()

    def turn(self, wait: float = 0.0) -> float:
        """Wait for so long, or until something was sent; look, if it is time; send what is due.

        Never raises. Returns the seconds until the next turn.
        """
        ended = self._outbound.wait(wait)
        try:
            self._note(ended)
            has_looked = evaluating.look(by=self._by)
            self._send_due()
            if has_looked:
                self._beat()
            wait = self._seconds_until_due()
        except Exception as error:
            return self._failed(error)
        if self._failures:
            logger.warning("alert rules are looked at again", extra={"failures": self._failures})
        self._failures, self._is_alarmed = 0, False
        return wait

    def finish(self, seconds: float) -> None:
        """Wait so long at the most for what is under way, and note what became of it."""
        end = time.monotonic() + seconds
        try:
            while not self._outbound.is_idle and (left := end - time.monotonic()) > 0:
                self._note(self._outbound.wait(min(left, _SHORTEST_WAIT_SECONDS)))
        except _OUTAGES as error:
            logger.warning("what became of messages is not noted: %s", error)

    def _seconds_until_due(self) -> float:
        due = [evaluating.seconds_until_due(), notices.seconds_until_due()]
        return max(_SHORTEST_WAIT_SECONDS, min(each for each in due if each is not None))

    def _send_due(self) -> None:
        for channel in choices.get().channels:
            # A function of the project's takes one at a time, so that what it did take is not told again.
            most = 1 if channel == "hook" else notices.MOST_TOGETHER
            if self._outbound.is_free(channel) and (rows := notices.claim(channel, most=most)):
                self._outbound.hand_over(channel, rows, partial(channels.send, channel, messages.of(rows)))

    def _note(self, ended: Sequence[Ended]) -> None:
        self._unnoted += ended
        while self._unnoted:
            each = self._unnoted.pop(0)
            try:
                self._note_one(each)
            except (OperationalError, InterfaceError):
                self._unnoted.insert(0, each)
                raise

    def _note_one(self, ended: Ended) -> None:
        if ended.channel == _HEARTBEAT:
            self._note_heartbeat(ended.why)
        elif ended.what:
            self._note_sent(ended.channel, ended.what, ended.why)

    def _note_sent(self, channel: str, rows: Sequence[IncidentNotice], why: str) -> None:
        if not why:
            notices.mark_sent(rows)
            return
        notices.mark_failed(rows, why)
        logger.error("alerts are not told by %s for now: %s", channel, why, extra={"channel": channel})

    def _beat(self) -> None:
        """Tell the outside that all is looked at; not while nobody can be told of what was found."""
        if choices.get().heartbeat_url and self._outbound.is_free(_HEARTBEAT) and not notices.is_mute():
            self._outbound.hand_over(_HEARTBEAT, None, channels.ping)

    def _note_heartbeat(self, why: str) -> None:
        if why and not self._heartbeat_failed:
            logger.error("the heartbeat of alerts is not heard: %s", why)
        self._heartbeat_failed = bool(why)

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        if self._failures == 1:
            self._failing_since = time.monotonic()
        log = logger.error if self._failures == 1 else logger.debug
        is_outage = isinstance(error, _OUTAGES)
        facts = {"failures": self._failures}
        log("alert rules are not looked at for now: %s", error, exc_info=not is_outage, extra=facts)
        self._alarm(error)
        return _retry_wait(self._failures)

    def _alarm(self, error: Exception) -> None:
        """Say once that nothing is watched any more, without the database that would remember it."""
        seconds = time.monotonic() - self._failing_since
        if self._is_alarmed or seconds < SILENT_AFTER.total_seconds():
            return
        self._is_alarmed = True
        message = messages.unwatched(seconds, channels.why(error))
        for channel in choices.get().channels:
            if self._outbound.is_free(channel):
                self._outbound.hand_over(channel, None, partial(channels.send, channel, message))

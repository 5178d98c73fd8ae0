"""A process around the launcher that leaves nothing behind. Starts none of the demo's parts itself."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType

from .processes import adopt_orphans, end_descendants, end_with_parent

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 5.0


def guarded(body: Callable[[], int]) -> int:
    """Run `body` in a child process and return its exit status, with no descendant left.

    1. The guard hands SIGINT, SIGTERM and SIGHUP on to the child, which stops in order.
    2. A killed child is noticed by the guard, to which its orphans come: they get some seconds, then are killed.
    3. A killed guard is noticed by the child, which gets SIGTERM from the kernel and stops in order.

    The child has a session of its own, so that Ctrl-C reaches it once, from here.
    Call from the main thread, with no other thread running.
    """
    adopt_orphans()
    # A signal between the fork and the new handler would end one of the two unasked.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    guard = os.getpid()
    child = os.fork()
    if child == 0:
        _be_the_child(guard, body)
    for number in _STOP_SIGNALS:
        signal.signal(number, _hand_on_to(child))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    _, status = os.waitpid(child, 0)
    # From here on the child's pid is free for others.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    end_descendants(grace_seconds=_GRACE_SECONDS)
    return os.waitstatus_to_exitcode(status)


def unblock_stop_signals() -> None:
    """Let the stop signals through, once the launcher's own handlers are in place."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)


def _be_the_child(guard: int, body: Callable[[], int]) -> None:
    status = 1
    try:
        os.setsid()
        adopt_orphans()
        end_with_parent(guard)
        status = body()
    except BaseException:
        traceback.print_exc()
    finally:
        end_descendants(grace_seconds=0)
        sys.stdout.flush()
        # Not `sys.exit`: the caller's frames belong to the guard.
        os._exit(status)


def _hand_on_to(child: int) -> Callable[[int, FrameType | None], None]:
    return lambda number, _frame: os.kill(child, number)

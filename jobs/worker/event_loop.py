"""Runs an async job in an event loop of its own, which ends it at its time limit or when it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync

from jobs.errors import JobStopped, JobTimedOut
from jobs.worker import deadlines


def run_async(call: Callable[[], Coroutine[Any, Any, Any]], *, timeout: float) -> Any:
    """What the coroutine that `call` makes returns. Raises `JobTimedOut` after `timeout` seconds, or `JobStopped`."""
    # Unlike asyncio.run, this brings what the job does through the ORM back to this thread and its connections.
    return async_to_sync(_within)(call, timeout, deadlines.current())


async def _within(call: Callable[[], Coroutine[Any, Any, Any]], timeout: float, watch: deadlines.Watch | None) -> Any:
    # A loop that waits for the network wakes for its own timer and for a cancel, not for an exception in its thread.
    watch = watch or deadlines.Watch(timeout)
    task = asyncio.current_task()
    assert task is not None
    watch.cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
    try:
        async with asyncio.timeout(timeout) as scope:
            return await call()
    except TimeoutError as error:
        if scope.expired():
            raise JobTimedOut from error
        raise
    except asyncio.CancelledError as error:
        if watch.is_stopped:
            raise JobStopped from error
        raise
    finally:
        watch.cancel = None

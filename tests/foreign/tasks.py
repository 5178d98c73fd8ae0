"""What a project's own modules hold: functions that know RQ and nothing of Jobsite."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from rq import Retry, get_current_job

from jobs import PutOffJob

calls: list[Any] = []


def add(left: Any, right: Any) -> Any:
    calls.append(("add", left, right))
    return left + right


def fail(text: str = "no") -> None:
    calls.append(("fail", text))
    raise ValueError(text)


def fail_once() -> str:
    calls.append("fail_once")
    if calls.count("fail_once") == 1:
        raise ValueError("not yet")
    return "done"


def ask_again() -> Any:
    calls.append("ask_again")
    return Retry(max=2) if calls.count("ask_again") < 3 else "done"


async def add_slowly(left: int, right: int) -> int:
    await asyncio.sleep(0)
    return left + right


def about_me() -> dict[str, Any]:
    rq_job = get_current_job()
    assert rq_job is not None
    rq_job.meta["seen"] = True
    rq_job.save_meta()
    rq_job.refresh()
    return {"id": rq_job.id, "meta": rq_job.meta, "origin": rq_job.origin}


def login(user: str, password: str) -> None:
    raise ValueError(f"{user} and {password} do not fit")


def odd() -> Any:
    return object()


def on_success(rq_job: Any, connection: Any, result: Any) -> None:
    calls.append(("on_success", rq_job.id, result))


def on_failure(rq_job: Any, connection: Any, kind: Any, error: Any, traceback: Any) -> None:
    calls.append(("on_failure", kind.__name__, str(error)))


def on_stopped(rq_job: Any, connection: Any) -> None:
    calls.append(("on_stopped", rq_job.id))


def on_success_badly(rq_job: Any, connection: Any, result: Any) -> None:
    raise RuntimeError("the callback failed")


class Report:
    """A class with methods that are jobs."""

    def __init__(self, name: str) -> None:
        self.name = name

    def build(self, pages: int) -> str:
        return f"{self.name}: {pages}"

    @staticmethod
    def count(pages: int) -> int:
        return pages


class Bomb:
    """Runs a command when it is unpickled without care."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def wait_for_the_warehouse() -> None:
    raise PutOffJob(30, "the warehouse is closed")


def log_and_fail() -> None:
    logging.getLogger("shop.legacy").info("looking")
    raise ValueError("no box")

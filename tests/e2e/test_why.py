"""Why one is not running: each reason as it really comes about, two clicks from the overview."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.urls import reverse
from playwright.sync_api import StorageState

from jobs import PutOffJob, at_once, circuits, conf, fuses, per_window, queues
from jobs.broker import epoch, keys
from jobs.broker import locks as server
from jobs.broker.connection import client as redis
from jobs.broker.locks import Holder
from jobs.broker.push import withdraw
from jobs.circuits import Circuit
from jobs.locks import lock
from jobs.models import JobRun
from jobs.relay import relay
from tests.e2e.strangers import Stranger
from tests.e2e.windows import Windows
from tests.engine import claim, make_job, work_off

__all__ = ["make_job"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

Arrange = Callable[[Any], JobRun]


def _do(customer: int = 0) -> None: ...


def _fail() -> None:
    raise ValueError("no luck")


def _put_off() -> None:
    raise PutOffJob(60, "the file is not there")


def _take() -> None:
    with lock("tests.stock"):
        pass


def _asked(job: Any, *arguments: Any) -> JobRun:
    run = job.enqueue(*arguments)
    relay(min_age=None)
    return JobRun.objects.get(pk=run.id)


def _lives(*names: str, state: str = "idle") -> None:
    """A worker of these queues, as RQ's list has it, that takes nothing by itself."""
    redis().hset(keys.worker("w1"), mapping={"state": state})
    for key in ("rq:workers", *(f"rq:workers:{name}" for name in names)):
        redis().sadd(key, keys.worker("w1"))


def _all_work() -> None:
    _lives(*conf.queue_names())


def _not_pushed(make: Any) -> JobRun:
    run = JobRun.objects.get(pk=make(_do, "tests.do").enqueue().id)
    withdraw(run.rq_id, queue=run.queue, life=run.life)
    redis().delete(keys.job(run.rq_id))
    JobRun.objects.filter(pk=run.pk).update(pushed_at=None)
    return run


def _due_later(make: Any) -> JobRun:
    return _asked(make(_do, "tests.do").using(at=timedelta(hours=2)))


def _tried_again(make: Any) -> JobRun:
    return _worked_off(_asked(make(_fail, "tests.fail", retry=3)))


def _was_put_off(make: Any) -> JobRun:
    return _worked_off(_asked(make(_put_off, "tests.put_off")))


def _paused(make: Any) -> JobRun:
    queues.pause("default", actor="ada", reason="the gateway moves")
    return _asked(make(_do, "tests.do"))


def _no_worker(make: Any) -> JobRun:
    redis().delete("rq:workers")
    return _asked(make(_do, "tests.do"))


def _unserved(make: Any) -> JobRun:
    redis().delete(*(f"rq:workers:{name}" for name in conf.queue_names()))
    _lives("mailers")
    return _asked(make(_do, "tests.do"))


def _quiet(make: Any) -> JobRun:
    _lives("default", state="suspended")
    return _asked(make(_do, "tests.do"))


def _ahead(make: Any) -> JobRun:
    job = make(_do, "tests.do")
    return [_asked(job) for _each in range(3)][-1]


def _slot(make: Any) -> JobRun:
    job = make(_do, "tests.limited", limits=[at_once(1, key="customer")])
    _holder, run = _asked(job, 7), _asked(job, 7)
    claim(5)
    return run


def _rate(make: Any) -> JobRun:
    job = make(_do, "tests.limited", limits=[per_window(1, seconds=60, name="crm")])
    _first, run = _asked(job, 1), _asked(job, 2)
    claim(5)
    return run


def _lock(make: Any) -> JobRun:
    run = _asked(make(_take, "tests.take"))
    holder = Holder(host="web1", process=7, worker="w9", job="tests.other", run=str(UUID(int=7)))
    server.acquire("tests.stock", token="theirs", life_seconds=60, holder=holder)
    return _worked_off(run)


def _circuit(make: Any) -> JobRun:
    run = _asked(make(_do, "tests.call", circuit=Circuit("tests.partner")))
    circuits.force_open("tests.partner", actor="ada", reason="they asked us to")
    return _worked_off(run)


def _fuse(make: Any) -> JobRun:
    job = make(_do, "tests.do")
    fuses.add(job.name, actor="ada", reason="it mails everybody")
    run = _asked(job)
    assert claim() == []
    return run


def _not_compared(make: Any) -> JobRun:
    run = _asked(make(_do, "tests.do"))
    epoch.refuse()
    return run


def _behind(make: Any) -> JobRun:
    run = _asked(make(_do, "tests.do"))
    redis().xadd(keys.JOURNAL, {"e": '{"entry":"wake"}'}, id=f"{int((time.time() - 60) * 1000)}-0")
    return run


def _lost(make: Any) -> JobRun:
    run = _asked(make(_do, "tests.do"))
    redis().delete(keys.queue("default"), keys.job(run.rq_id))
    return run


def _suspect(make: Any) -> JobRun:
    run = _asked(make(_do, "tests.do"))
    redis().rename(keys.queue("default"), keys.queue(keys.suspects("default")))
    return run


def _worked_off(run: JobRun) -> JobRun:
    work_off()
    return run


REASONS: dict[str, tuple[Arrange, str]] = {
    "not-pushed": (_not_pushed, "Redis does not have it yet"),
    "due-later": (_due_later, "Its time has not come"),
    "retry-later": (_tried_again, "Attempt 1 of 3 failed (ValueError: no luck)"),
    "put-off": (_was_put_off, "the file is not there"),
    "paused": (_paused, "default was paused by ada: the gateway moves"),
    "no-worker": (_no_worker, "rqworker default"),
    "queue-unserved": (_unserved, "does not work on default"),
    "workers-quiet": (_quiet, "told to be quiet"),
    "ahead": (_ahead, "2 runs of default start before it"),
    "slot": (_slot, "1 of 1 at once are taken"),
    "rate-limit": (_rate, "1 of 1 in 60 s have started"),
    "lock": (_lock, "The lock tests.stock is held by tests.other"),
    "circuit": (_circuit, "The circuit tests.partner is open by ada: they asked us to"),
    "fuse": (_fuse, "by ada: it mails everybody"),
    "not-compared": (_not_compared, "was not compared with the rows since"),
    "next": (_behind, "What happened since is not shown here yet"),
    "lost": (_lost, "in no queue, and nobody holds it"),
    "isolated": (_suspect, "runs again alone"),
}


@pytest.mark.parametrize("code", REASONS)
def test_the_reason_is_two_clicks_away(
    code: str, bare_windows: Windows, bare_session: StorageState, make_job: Any, screenshots: Path
) -> None:
    _all_work()
    arrange, text = REASONS[code]
    run = arrange(make_job)
    state = JobRun.objects.get(pk=run.pk).state

    stranger = bare_windows.open(Stranger, storage_state=bare_session)
    stranger.begin()
    stranger.runs_that_are(state)
    stranger.pick(reverse("admin:jobs_jobrun_change", args=[run.pk]))
    stranger.expect_answer("Why isn't it running?", at="#jobs-why-title")
    stranger.expect_answer(text, at=f'#jobs-why[data-why="{code}"]')
    if "E2E_SCREENSHOTS" in os.environ:
        stranger.page.screenshot(path=screenshots / f"why-{code}.png")

"""Why a run is not running, told while real workers come, are busy, go quiet and go."""

from __future__ import annotations

import signal

import pytest

from jobs import why
from jobs.handles import Run
from jobs.policy.reasons import Why
from tests.sample import jobs as sample
from tests.scenarios.workers import Workers, wait_until

pytestmark = pytest.mark.slow


def test_the_reason_changes_with_the_workers(workers: Workers) -> None:
    run, behind = sample.nap.enqueue(4, 1), sample.nap.enqueue(0.1, 2)

    def reason(of: Run) -> Why:
        return why.of(of.row()).reasons[0].why

    assert reason(run) is Why.NO_WORKER
    workers.start(queues=("mailers",))
    wait_until(lambda: reason(run) is Why.QUEUE_UNSERVED, what="a worker of another queue")
    worker = workers.start("--concurrency", "1", queues=("default",))
    wait_until(lambda: reason(run) is Why.RUNNING, what="it to run")
    wait_until(lambda: reason(behind) is Why.NEXT, what="the other one to be the next")
    worker.send_signal(signal.SIGTSTP)
    wait_until(lambda: reason(behind) is Why.QUIET, what="its worker to be quiet")
    wait_until(lambda: reason(run) is Why.ENDED, what="its end to be recorded")

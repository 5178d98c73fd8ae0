"""Stock RQ's worker, with places at which it may die: between the steps of its own code, none of which is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rq import Worker
from rq.job import Job

POINTS = {
    "after_pop": "the worker has taken a job off its queue",
    "after_prepare": "the job is in the started registry",
    "before_started": "the horse is about to say that it started",
    "mid_job": "the horse is about to call the function",
    "before_commit": "the function has returned, and nothing says so",
    "after_commit": "the result is stored, and the horse has not ended",
}


def dying_worker(come: Callable[[str], None]) -> type[Worker]:
    """A worker class that calls `come` at each place."""

    class DyingWorker(Worker):
        def dequeue_job_and_maintain_ttl(self, *args: Any, **kwargs: Any) -> Any:
            found = super().dequeue_job_and_maintain_ttl(*args, **kwargs)
            if found is not None:
                come("after_pop")
            return found

        def prepare_execution(self, job: Job) -> Any:
            execution = super().prepare_execution(job)
            come("after_prepare")
            return execution

        def prepare_job_execution(self, *args: Any, **kwargs: Any) -> None:
            come("before_started")
            super().prepare_job_execution(*args, **kwargs)
            come("mid_job")

        def handle_job_success(self, *args: Any, **kwargs: Any) -> None:
            come("before_commit")
            super().handle_job_success(*args, **kwargs)
            come("after_commit")

    return DyingWorker

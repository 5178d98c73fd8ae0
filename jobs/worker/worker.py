"""The worker as RQ and django-rq know it: what `RQ["WORKER_CLASS"]` names."""

from __future__ import annotations

from typing import Any

from jobs.worker.options import WorkerOptions
from jobs.worker.registration import RegisteredWorker
from jobs.worker.supervisor import Supervisor


class JobsWorker(RegisteredWorker):
    """A worker that keeps every job: `work` runs a supervisor in this process until the work is over."""

    def work(  # type: ignore[override]
        self, burst: bool = False, max_jobs: int | None = None, max_idle_time: int | None = None, **_: Any
    ) -> bool:
        """Work on the queues; the options of RQ's own `work` that mean nothing here are taken and ignored."""
        options = WorkerOptions(
            name=self.name,
            queues=tuple(self.queue_names()),
            burst=burst,
            max_jobs=max_jobs,
            max_idle_time=max_idle_time,
        )
        Supervisor(options).run()
        return True

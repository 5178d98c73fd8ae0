"""Jobs whose behaviour a test chooses, and what they were called with."""

from __future__ import annotations

import pytest

from jobs import DiscardJob, RetryPolicy, fixed
from jobs.models import WorkflowStep
from tests.engine import make_job

__all__ = ["make_job"]

ONCE = RetryPolicy(attempts=1, backoff=fixed(0), jitter=0)


class Work:
    """A job that notes its arguments, and does what `will` says of the first: raises, or returns it."""

    def __init__(self, make_job):
        self.calls = []
        self.will = {}
        self.job = make_job(self._do, name="tests.workflows.work", retry=ONCE)

    def _do(self, name, *args):
        self.calls.append((name, *args) if args else name)
        what = self.will.get(name, name)
        if what == "fail":
            raise ValueError("no")
        if what == "discard":
            raise DiscardJob
        return what() if callable(what) else what

    def __call__(self, *args):
        return self.job.prepare(*args)


@pytest.fixture
def work(make_job):
    return Work(make_job)


def states(workflow):
    """Where the steps of a workflow stand."""
    return dict(WorkflowStep.objects.filter(workflow=workflow).order_by("place").values_list("name", "state"))

"""RQ's job and queue as django-rq makes them: on our client, with JSON only, calling registered jobs only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django_rq.queues import DjangoRQ
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from jobs import registry
from jobs.broker.connection import client


class JobsJob(RQJob):
    """RQ's message object. What it names is looked up among the registered jobs and never imported."""

    @property
    def func(self) -> Callable[..., Any]:
        """The function of the job that is named. Raises `UnknownJob`."""
        return registry.get(self.func_name or "").function


class JobsQueue(DjangoRQ):
    """RQ's queue, on this process's one client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["connection"] = client()
        kwargs["serializer"] = JSONSerializer
        super().__init__(*args, **kwargs)

"""RQ's job and queue as django-rq makes them: on our client, calling registered or allowed functions only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django_rq.queues import DjangoRQ
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer, resolve_serializer

from jobs import conf, registry, runs
from jobs.broker import foreign
from jobs.broker.connection import client
from jobs.broker.unpickling import TrustedPickle


class JobsJob(RQJob):
    """RQ's message object. What it names is looked up among registered jobs and allowed modules, and no other
    module is imported."""

    @property
    def func(self) -> Callable[..., Any]:
        """The function that is named. Raises `UnknownJob`."""
        name = self.func_name or ""
        if (found := registry.find(name)) is not None:
            return found.function
        return foreign.function(name) if self.instance is None else foreign.method(self.instance, name)

    def cancel(self, *args: Any, **kwargs: Any) -> dict[str, list[str]]:
        """As RQ's, and the run's row follows if there is one."""
        enqueued: dict[str, list[str]] = super().cancel(*args, **kwargs)
        runs.follow_cancel(self.id)
        return enqueued

    @property
    def success_callback(self) -> Callable[..., Any] | None:
        return _callback(self._success_callback_name)

    @property
    def failure_callback(self) -> Callable[..., Any] | None:
        return _callback(self._failure_callback_name)

    @property
    def stopped_callback(self) -> Callable[..., Any] | None:
        return _callback(self._stopped_callback_name)


class JobsQueue(DjangoRQ):
    """RQ's queue, on this process's one client. It writes pickles only where they are opted into."""

    job_class = JobsJob

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["connection"] = client()
        kwargs["serializer"] = _serializer(kwargs.get("serializer"))
        super().__init__(*args, **kwargs)


def _serializer(asked: Any) -> Any:
    if not conf.get().FOREIGN_PICKLE or resolve_serializer(asked) is JSONSerializer:
        return JSONSerializer
    return TrustedPickle


def _callback(name: str | None) -> Callable[..., Any] | None:
    return foreign.function(name) if name else None

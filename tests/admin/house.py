"""A full house: a row of every model and something of each kind in Redis, and the address of every page about them.

Whoever adds a model gets a row here by itself; whoever adds a page says in `SLUGS` or `CAPTURED` what its address is
made of, or the tests that go over all pages name it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import django_rq
from django.apps import apps
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from jobs import circuits, fuses, schedules
from jobs.broker import locks
from jobs.broker.locks import Holder
from jobs.models import Batch, BulkAction, JobProgress, JobRun, RecoveryRule, ScheduleTick, Workflow
from tests.admin.rows import a_cause, a_dead_job, a_run, an_attempt, an_effect, an_email

FOREIGN = "foreign-1"
CIRCUIT = "the bank"

# What stands in an address for `<slug:name>`: everything that can be asked for there, by the page's name.
SLUGS: dict[str, tuple[str, ...]] = {
    "jobs_jobrun_many": ("retry", "cancel", "discard", "run-now"),
    "jobs_jobrun_view": ("rename", "delete"),
    "jobs_jobrun_act": ("retry", "cancel", "discard", "run-now", "postpone", "stop", "undo"),
    "jobs_deadjob_bulk": ("retry", "discard"),
    "jobs_failurecause_act": ("snooze", "ignore", "resolve", "reopen", "note"),
    "jobs_batch_act": ("cancel",),
    "jobs_workflow_act": ("cancel", "resume"),
    "jobs_workflow_act_on_step": ("retry", "skip"),
    "jobs_bulkaction_act": ("pause", "resume", "stop"),
    "jobs_recoveryrule_act": ("on", "off", "remove"),
    "jobs_schedule_act": ("pause", "resume", "run", "remove", "follow"),
    "jobs_circuitsandlocks_circuit": ("open", "close"),
    "jobs_incident_act": ("acknowledge", "silence", "unsilence"),
    "jobs_incident_rule": ("edit", "silence", "unsilence", "revert"),
    "jobs_effect_act": ("release", "done"),
    "jobs_sentemail_act": ("release", "done"),
    "jobs_queuepause_act": ("pause", "resume", "clear"),
    "jobs_workerprocess_act": ("quiet", "stop"),
}
# What stands for other parts of an address. An action of a callable is asked when the house stands.
CAPTURED: dict[str, Any] = {
    "queue_index": 0,
    "scheduler_index": 0,
    "connection_index": 0,
    "job_id": FOREIGN,
    "result_id": "1-1",
    "key": "host.1",
    "scheduler_name": "nobody",
    "cron_job_name": "nothing",
    "token": "guess",
    "object_id": "1",
    "app_label": "jobs",
    "view": lambda: apps.get_model("jobs.SavedView").objects.latest("pk").pk,
    "queue": "default",
    "job": "tests.charge",
    "edit": lambda: apps.get_model("jobs.ScheduleEdit").objects.latest("pk").pk,
    "step": lambda: apps.get_model("jobs.WorkflowStep").objects.earliest("pk").pk,
}
# Lists also have these ways to be asked.
QUERIES: dict[str, tuple[str, ...]] = {
    "jobs_jobrun_changelist": ("?q=state:dead", "?q=error:Gateway", "?q=took:>5s+-queue:low", "?state=succeeded"),
    "jobs_jobrun_waiting": ("?tab=retrying",),
    "jobs_deadjob_changelist": ("?shown=resolved", "?shown=discarded"),
    "jobs_incident_rule": ("?rule=waiting:low",),
}


@dataclass(frozen=True)
class Page:
    """One address: the name of its route, what it captures, and the address itself."""

    name: str
    captured: dict[str, Any] = field(hash=False)
    address: str

    @property
    def slug(self) -> str:
        return str(self.captured.get("name", ""))


@dataclass(frozen=True)
class Route:
    """One pattern of our URLs: what it captures, and how it is written, for the one that has no name."""

    name: str
    captures: tuple[str, ...]
    path: str = ""

    def address(self, captured: dict[str, Any]) -> str:
        """Where it leads to with these captured."""
        if not self.name.endswith(":None"):
            return reverse(self.name, kwargs=captured)
        return "/" + re.sub(r"<\w+:(\w+)>", lambda match: str(captured[match[1]]), self.path)


def routes() -> list[Route]:
    """Every route of the app: the console, what is left of django-rq's pages, and what programs ask for."""
    found = {(route.name, route.captures): route for route in _walk(get_resolver().url_patterns, (), "")}
    return list(found.values())


def _walk(patterns: list[Any], captured: tuple[str, ...], path: str) -> Iterator[Route]:
    for one in patterns:
        names = (*captured, *one.pattern.regex.groupindex)
        if isinstance(one, URLResolver):
            yield from _walk(one.url_patterns, names, path + str(one.pattern))
        elif isinstance(one, URLPattern) and _is_ours(one, path + str(one.pattern)):
            yield Route(("jobs:" if not path else "admin:") + str(one.name), names, path + str(one.pattern))


def _is_ours(one: URLPattern, path: str) -> bool:
    module = getattr(one.callback, "__module__", "")
    return path.startswith(("admin/jobs/", "admin/django_rq/")) or (
        not path.startswith("admin/") and module.startswith("jobs.")
    )


def pages() -> list[Page]:
    """Every address, once the house stands: each route with each thing that it may be about."""
    return [page for route in routes() for page in _pages(route)]


def _pages(route: Route) -> Iterator[Page]:
    short = route.name.partition(":")[2]
    for slug in SLUGS.get(short, ("",)):
        captured = {name: slug if name == "name" else _captured(short, name) for name in route.captures}
        address = route.address(captured)
        yield Page(short, captured, address)
    for query in QUERIES.get(short, ()):
        yield Page(short, captured, address + query)


def _captured(route: str, name: str) -> Any:
    if name == "pk":
        return _key_of(route)
    value = CAPTURED[name]
    return value() if callable(value) else value


def _key_of(route: str) -> Any:
    """The key of a row of the model that a route is about. A dead run has most to show."""
    model = apps.get_model("jobs", re.match(r"jobs_([a-z]+)_", route).group(1))  # type: ignore[union-attr]
    rows = model.objects.filter(state="dead") if model is JobRun else model.objects.all()
    return rows.order_by("pk").first().pk


def furnish() -> None:
    """Fill the tables and Redis."""
    _rows()
    for model in apps.get_app_config("jobs").get_models():
        if not model._meta.proxy and not model.objects.exists():
            a_row_of(model)
    _redis()


def _rows() -> None:
    now = timezone.now()
    batch = Batch.objects.create(name="May", state="running", total=4, succeeded=1, sealed_at=now)
    for state in ("scheduled", "queued", "running", "retrying", "succeeded", "discarded", "cancelled"):
        run = a_run(state, batch=batch, result={"id": 7, "said": "ok"}, worker="host:1", release="r1")
    an_attempt(run, 1, error_class="shop.Down", error_message="away")
    JobProgress.objects.create(run=run, **_filled(JobProgress, given=("run",)))
    a_dead_job(cause=a_cause())
    an_effect()
    an_email()
    workflow = Workflow.objects.create(name="Order 17", moved_at=now)
    call = {"job": "shop.charge", "args": [1], "kwargs": {}}
    workflow.steps.create(name="charge", place=0, state="waiting", call=call)
    workflow.steps.create(name="ship", place=1, state="waiting", after=[["charge", "success"]], call=call)
    terms = {"job": "tests.sample.add", "expression": "30 2 * * *", "timezone": "Europe/Berlin"}
    schedule = schedules.add("nightly", {**terms, "arguments": {"left": 1, "right": 2}}, actor="ann", reason="wanted")
    ScheduleTick.objects.create(schedule=schedule, due_at=now, ticked_at=now, state="failed", why="no such job")
    schedules.pause(schedule, actor="ann", reason="they move", until=now + timedelta(days=1))
    fuses.add("tests.sample.add", reason="it loops", actor="ann")
    a_row_of(RecoveryRule)
    a_row_of(BulkAction)


def _redis() -> None:
    queue = django_rq.get_queue("default", commit_mode="auto")
    queue.enqueue_call("shop.jobs.foreign", args=("one",), job_id=FOREIGN)
    circuits.force_open(CIRCUIT, actor="ann", reason="they move")
    locks.acquire("order:42", token="cafe", life_seconds=30, holder=Holder("elsewhere", 7))


def a_row_of(model: type[models.Model]) -> models.Model:
    """A row with something in each field that must have it."""
    return model._default_manager.create(**_filled(model))


def _filled(model: type[models.Model], given: tuple[str, ...] = ()) -> dict[str, Any]:
    fields = [one for one in model._meta.concrete_fields if not one.auto_created and one.name not in given]
    return {one.name: _value_of(one) for one in fields if not (one.null or one.has_default() or one.blank)}


def _value_of(one: Any) -> Any:
    if one.is_relation:
        return one.related_model._default_manager.first() or a_row_of(one.related_model)
    if one.choices:
        return next(value for value, _label in one.flatchoices if value)
    kinds = (
        (models.DateTimeField, timezone.now()),
        (models.UUIDField, uuid.uuid4()),
        (models.JSONField, {}),
        (models.BooleanField, False),
        (models.FloatField, 1.0),
        (models.IntegerField, 1),
        (models.CharField, f"a {one.name}"[: one.max_length or None]),
        (models.TextField, f"a {one.name}"),
    )
    return next(value for kind, value in kinds if isinstance(one, kind))

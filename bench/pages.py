"""The pages of the console, asked for in a process of their own: how long each takes, and what it asks."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import django

_RELAYED_AT_ONCE = 500


def main() -> None:
    """Do what the command line asks and print what came of it as JSON."""
    options = _options()
    django.setup()
    if options.task == "fill":
        _fill(options.jobs, options.queued)
    else:
        print(json.dumps(_figures(options.rounds)))


def _fill(runs: int, queued: int) -> None:
    from django.contrib.auth.models import Group, User

    from bench.past import Past
    from jobs.relay import relay

    # Nobody who may do all by being what they are: whose permissions come from a role costs two more queries.
    User.objects.create_user("ann", is_staff=True).groups.set(Group.objects.filter(name="Jobs admin"))
    Past(runs, queued).write()
    while relay(min_age=None):
        pass


def _figures(rounds: int) -> dict[str, dict[str, float]]:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from bench.telling import percentile

    settings.ALLOWED_HOSTS = ["testserver"]
    settings.SECURE_SSL_REDIRECT = False
    browser = Client()
    browser.force_login(User.objects.get(username="ann"))
    pages = addresses()
    figures: dict[str, dict[str, float]] = {}
    for name, address in pages.items():
        # The first time templates are read; it is not counted, nor is a time in which queries are noted down.
        with CaptureQueriesContext(connection) as asked:
            answer = browser.get(address)
        assert answer.status_code == 200, f"{name}: {answer.status_code} for {address}"
        figures[name] = {"queries": len(asked)}
    times: dict[str, list[float]] = {name: [] for name in pages}
    redis: dict[str, list[float]] = {name: [] for name in pages}
    # In turn, so that what one remembers for some seconds does not serve all times of its own.
    for _ in range(rounds):
        for name, address in pages.items():
            before = _redis_ms()
            started = time.perf_counter()
            browser.get(address)
            times[name].append((time.perf_counter() - started) * 1000)
            redis[name].append(_redis_ms() - before)
    for name, one in figures.items():
        one["p50_ms"] = round(percentile(times[name], 50), 1)
        one["p95_ms"] = round(percentile(times[name], 95), 1)
        one["redis_ms"] = round(max(redis[name]), 2)
    return figures


def _redis_ms() -> float:
    """How long the server has been busy with commands, but for those that ask this."""
    from jobs.broker.connection import client

    told: dict[str, Any] = client().info("commandstats")
    return sum(one["usec"] for name, one in told.items() if "info" not in name) / 1000


def addresses() -> dict[str, str]:
    """Where each page is: sections, searches that an index serves and those that none does, and pages of one thing."""
    from jobs.models import Batch, DeadJob, FailureCause, Incident, JobRun, Workflow

    jobs, dead_jobs = _console("jobrun_changelist"), _console("deadjob_changelist")
    dead, queued = DeadJob.objects.order_by("-pk")[0], JobRun.objects.filter(state="queued").order_by("-pk")[0]
    middle = JobRun.objects.order_by("pk").values_list("pk", flat=True)[1000]
    return {
        **sections(),
        "jobs, an older page": f"{jobs}?older={middle}",
        "jobs by state": f"{jobs}?state=dead",
        "jobs by two states": f"{jobs}?state=dead,retrying",
        "jobs by job": f"{jobs}?job={dead.name}",
        "jobs by job and state": f"{jobs}?job={dead.name}&state=dead",
        "jobs by queue": f"{jobs}?queue=low",
        "jobs by time": f"{jobs}?after=3d&before=2d",
        "jobs by an argument": f"{jobs}?q=args.order_id:4711",
        "jobs by any argument": f"{jobs}?q=arg:4711",
        "jobs by error": f"{jobs}?q=error:gateway",
        "jobs by worker": f"{jobs}?q=worker:host-2",
        "jobs by batch": f"{jobs}?batch=1",
        "jobs by batch and state": f"{jobs}?batch=1&state=dead",
        "jobs by workflow": f"{jobs}?workflow=7",
        "jobs by schedule": f'{jobs}?q=schedule:"every five 7"',
        "job, dead": _console("jobrun_change", pk=dead.run_id),
        "job, queued": _console("jobrun_change", pk=queued.pk),
        "dead jobs by job": f"{dead_jobs}?job={dead.name}",
        "retry all": f"{_console('deadjob_bulk', name='retry')}?job={dead.name}",
        "incident": _console("incident_change", pk=Incident.objects.order_by("-pk")[0].pk),
        "metrics of a week": f"{_console('metricminute_changelist')}?period=7d",
        "metrics of a job": _console("metricminute_change", job=dead.name),
        "queue": _console("queuepause_change", queue="low"),
        "failure": _console("failurecause_change", pk=FailureCause.objects.order_by("pk")[0].pk),
        "schedule": _console("schedule_change", pk=7),
        "batch": _console("batch_change", pk=Batch.objects.order_by("pk")[0].pk),
        "workflow": _console("workflow_change", pk=Workflow.objects.order_by("pk")[0].pk),
        "recovery rules": _console("recoveryrule_changelist"),
    }


def sections() -> dict[str, str]:
    """The pages that the console's own navigation leads to."""
    from django.urls import reverse

    from jobs.admin.sections import GROUPS

    return {str(each.label).lower(): reverse(each.page) for _, parts in GROUPS for each in parts}


def _console(page: str, **kwargs: Any) -> str:
    from django.urls import reverse

    return reverse(f"admin:jobs_{page}", kwargs=kwargs or None)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("fill", "ask"))
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--queued", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()

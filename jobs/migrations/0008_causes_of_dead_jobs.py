"""Gives the dead jobs that are there a cause, by their error and message: where it was raised was not kept apart."""

from collections.abc import Iterator
from typing import Any

from django.db import migrations

from jobs.policy.fingerprint import Failure

AT_ONCE = 1000


def give_causes(apps: Any, schema_editor: Any) -> None:
    using = schema_editor.connection.alias
    dead_jobs = apps.get_model("jobs", "DeadJob").objects.using(using)
    causes = apps.get_model("jobs", "FailureCause").objects.using(using)
    for chunk in chunks(dead_jobs.filter(cause=None).select_related("run").defer("run__payload", "run__result")):
        failures: dict[str, tuple[Failure, list[Any]]] = {}
        for dead_job in chunk:
            failure = failure_of(dead_job)
            failures.setdefault(failure.fingerprint, (failure, []))[1].append(dead_job)
        for failure, alike in failures.values():
            cause = counted(causes, failure, alike)
            dead_jobs.filter(pk__in=[dead_job.pk for dead_job in alike]).update(cause=cause)


def chunks(rows: Any) -> Iterator[list[Any]]:
    after = 0
    while chunk := list(rows.filter(pk__gt=after).order_by("pk")[:AT_ONCE]):
        yield chunk
        after = chunk[-1].pk


def failure_of(dead_job: Any) -> Failure:
    without_error = "crashed" if dead_job.reason == "killed_worker" else dead_job.reason
    return Failure(dead_job.name, dead_job.error_class or without_error, dead_job.error_message)


def counted(causes: Any, failure: Failure, alike: list[Any]) -> Any:
    first, last = (edge(alike, key=lambda dead_job: dead_job.died_at) for edge in (min, max))
    cause, is_new = causes.get_or_create(
        fingerprint=failure.fingerprint,
        defaults={
            "name": failure.job,
            "error_class": failure.error_class,
            "message": failure.normal_message,
            "first_seen_at": first.died_at,
            "first_release": first.run.release,
            "last_seen_at": last.died_at,
        },
    )
    if is_new or first.died_at < cause.first_seen_at:
        cause.first_seen_at, cause.first_release = first.died_at, first.run.release
    if is_new or last.died_at > cause.last_seen_at:
        cause.last_seen_at, cause.last_release = last.died_at, last.run.release
        cause.sample, cause.last_run = last.error_message, last.run_id
    cause.count += len(alike)
    cause.save()
    return cause


class Migration(migrations.Migration):
    dependencies = [("jobs", "0007_failure_causes")]
    operations = [migrations.RunPython(give_causes, migrations.RunPython.noop, elidable=True)]

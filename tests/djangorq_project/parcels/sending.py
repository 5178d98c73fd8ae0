"""What the project's views and services do: they enqueue."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import django_rq
from django.db import transaction
from rq import Callback, Queue, Retry
from rq.job import Dependency

from parcels import tasks
from parcels.models import Parcel


def send_everything():
    """One job of each kind. Returns them by name."""
    queue = django_rq.get_queue("default")
    high = django_rq.get_queue("high")
    parcel, _ = Parcel.objects.get_or_create(code="P-1")
    jobs = {
        "delayed": tasks.register.delay("P-2"),
        "model": tasks.weigh.delay(parcel, Decimal("1.50"), at=datetime(2026, 5, 1, tzinfo=UTC)),
        "retried": queue.enqueue(tasks.deliver, "P-3", retry=Retry(max=3)),
        "retried_later": queue.enqueue(tasks.deliver, "P-4", retry=Retry(max=3, interval=[1, 1])),
        "failing": queue.enqueue(
            tasks.refuse, "P-5", meta={"code": "P-5"}, on_failure=Callback(tasks.on_refused), failure_ttl=600
        ),
        "called_back": queue.enqueue(
            tasks.register, "P-6", meta={"code": "P-6"}, on_success=Callback(tasks.on_delivered)
        ),
        "later": queue.enqueue_in(timedelta(seconds=1), tasks.register, "P-7"),
        "at": queue.enqueue_at(datetime.now(UTC) + timedelta(seconds=1), tasks.register, "P-8"),
        "method": queue.enqueue(parcel.archive),
        "static": queue.enqueue("parcels.tasks.Sorter.sort", ["b", "a"]),
        "async": queue.enqueue(tasks.track, "P-9"),
        "current": high.enqueue(tasks.whoami, at_front=True),
        "slow": high.enqueue(tasks.slow, job_timeout=1),
        "named": queue.enqueue(tasks.register, "P-10", job_id="register-P-10", description="register it"),
    }
    jobs["dependent"] = queue.enqueue(tasks.register, "P-11", depends_on=jobs["retried"])
    jobs["after_both"] = high.enqueue(tasks.register, "P-12", depends_on=[jobs["dependent"], jobs["async"]])
    jobs["after_failure"] = queue.enqueue(
        tasks.register, "P-13", depends_on=Dependency(jobs["failing"], allow_failure=True)
    )
    jobs["never"] = queue.enqueue(tasks.register, "P-14", depends_on=jobs["failing"])
    many = queue.enqueue_many([Queue.prepare_data(tasks.register, (f"M-{n}",)) for n in range(3)])
    jobs.update({f"many_{number}": one for number, one in enumerate(many)})
    cancelled = queue.enqueue_in(timedelta(hours=1), tasks.register, "P-15")
    cancelled.cancel()
    jobs["cancelled"] = cancelled
    with transaction.atomic():
        # django-rq enqueues it after the commit, and so gives nothing back.
        queue.enqueue(tasks.register, "P-16")
    return jobs

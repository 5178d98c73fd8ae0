"""How the jobs fare: who works, what waits for nobody, and whether anything is lost. A sample, in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

from django.utils import timezone

from jobs import conf, ledger, queues, registry, relay, workers
from jobs.broker import inspect
from jobs.health.doctor.finding import ERROR, WARNING, Finding
from jobs.models import JobRun
from jobs.models.runs import PENDING_STATES
from jobs.policy import foreign
from jobs.policy.wellness import LATE_SECONDS

# How many pending runs of each state are looked at, and how far back the books are checked.
_SAMPLE = 500
_SINCE = timedelta(hours=1)
# What was asked for a moment ago may be on its way.
_SETTLED = timedelta(minutes=2)
_NAMED = 5


def _workers() -> Iterator[Finding]:
    live = [one for one in workers.live() if one.kind == "child"]
    if not live:
        yield Finding(
            "no_worker",
            ERROR,
            "No worker is alive.",
            "Jobs are enqueued and none starts.",
            "Start manage.py rqworker with the names of the queues, under systemd or the like.",
        )
        return
    releases = sorted({one.release for one in live})
    if len(releases) > 1:
        yield Finding(
            "releases",
            WARNING,
            f"Workers run {len(releases)} releases: {', '.join(name or '(none)' for name in releases)}.",
            "A job behaves by where it runs. During a deployment that is as it should be.",
            "Restart the workers that were left behind; the Workers page says which.",
        )
    if conf.release() and releases == [""]:
        yield Finding(
            "no_release",
            WARNING,
            "Workers do not say which release they run, and this process does.",
            "Failures cannot be told apart by release.",
            'Set JOBS["RELEASE"] for the workers too.',
        )


def _queues() -> Iterator[Finding]:
    for queue in queues.standings().queues:
        waiting = f", where {queue.depth:,} wait." if queue.depth else "."
        if queue.workers == 0 and workers.live():
            yield Finding(
                "queue_without_worker",
                ERROR if queue.depth else WARNING,
                f'No worker is on the queue "{queue.name}"{waiting}',
                "What is enqueued there waits for ever.",
                f"Name {queue.name} when you start a worker, or take the queue out of RQ_QUEUES.",
            )
        if queue.pause and queue.pause.until is None and queue.depth:
            yield Finding(
                "paused",
                WARNING,
                f'The queue "{queue.name}" is paused without an end by {queue.pause.actor}, and {queue.depth:,} wait.',
                "It stays so until somebody resumes it.",
                f"manage.py jobs_resume {queue.name}",
            )


def _recorder() -> Iterator[Finding]:
    now = inspect.journal_now()
    if now.lag_seconds > LATE_SECONDS:
        yield Finding(
            "recorder",
            ERROR,
            f"What happened {now.lag_seconds:.0f} s ago is not recorded; {now.length:,} entries wait.",
            f"Pages show what was, and at {conf.get().JOURNAL_LIMIT:,} entries workers stop claiming.",
            'Look in the worker\'s log for "what happened is not recorded for now".',
        )
    waits = relay.backlog()
    if waits.lag.total_seconds() > LATE_SECONDS:
        yield Finding(
            "not_pushed",
            ERROR,
            f"{waits.count:,} runs were not pushed, the oldest {waits.lag.total_seconds():.0f} s ago.",
            "They were asked for, and no worker can see them.",
            "A recording process pushes them: does an rqworker run, and does it reach Redis and the database?",
        )


def _books() -> Iterator[Finding]:
    now = timezone.now()
    chosen = ledger.Range(since=now - _SINCE, until=now - _SETTLED)
    lost = list(islice(ledger.unaccounted(chosen), _NAMED))
    if lost:
        yield Finding(
            "ledger",
            ERROR,
            f"Runs of the last hour are in no place, such as {lost[0].id}.",
            "They do not go on by themselves before a sweep finds them, within minutes.",
            "manage.py jobs_ledger lists them all, and --reissue puts them back.",
        )


def _unknown_jobs() -> Iterator[Finding]:
    known, allowed = set(registry.names()), conf.get().FOREIGN_JOBS
    samples = [JobRun.objects.filter(state=state).values_list("name", flat=True)[:_SAMPLE] for state in PENDING_STATES]
    names = {name for sample in samples for name in sample}
    unknown = sorted(name for name in names - known if not foreign.places(name, allowed))
    if unknown:
        yield Finding(
            "unknown_jobs",
            ERROR,
            f"Runs wait for jobs that this code does not know: {', '.join(unknown[:_NAMED])}.",
            "They are put off for an hour, and are dead then.",
            "Deploy the code that has them, give a renamed job its old name, or cancel these runs.",
        )


LOOKS = (_workers, _queues, _recorder, _books, _unknown_jobs)

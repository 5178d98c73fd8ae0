"""The numbers of a scrape as Prometheus wants them. Asks nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from jobs import totals
from jobs.exposition.numbers import Numbers
from jobs.models.metrics import COUNTS
from jobs.policy import histogram
from jobs.totals import Total

_COUNTED = {
    "enqueued": "Runs that came to Redis for the first time",
    "started": "Attempts that started, and have ended",
    "succeeded": "Attempts after which the run was done",
    "failed": "Attempts that went wrong, whatever followed",
    "retried": "Attempts after which the run was to be tried again",
    "dead": "Attempts after which the run was dead",
    "discarded": "Attempts after which the run was discarded",
    "cancelled": "Attempts that a person stopped",
    "interrupted": "Attempts that were handed back, and are not counted as such",
}
# Every other bucket of those that tell little apart: each is a line for each job.
_BUCKETS = (2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22)
_GAUGES = {
    "dead_jobs": "Dead jobs that nobody has seen to, counted up to 100,000",
    "retrying_runs": "Runs that failed and are due again, counted up to 100,000",
    "unpushed_runs": "Runs that were asked for more than 5 s ago and are not in Redis",
    "worker_processes": "Live processes that run jobs",
    "worker_threads": "Their threads",
    "worker_threads_busy": "Those of them that run a job",
    "journal_length": "Positions of the journal that are not recorded yet",
    "recorder_lag_seconds": "Age of the first of them",
}
_OF_QUEUES = {
    "depth": "Runs that wait and could start",
    "oldest_wait_seconds": "Seconds that the next run of the queue has waited",
    "running": "Runs that workers hold",
    "scheduled": "Runs that are due later, retries with them",
    "workers": "Live processes that serve the queue",
    "threads": "Their threads",
    "in_per_minute": "Runs that come, per minute",
    "out_per_minute": "Runs that start, per minute",
    "drain_seconds": "Seconds until nothing waits, at this rate; missing while it does not drain",
    "threads_needed": "Threads that keep its wait within its target",
    "workers_needed": "Processes that keep its wait within its target",
    "paused": "Whether a person has paused the queue",
}
_PHASES = ("closed", "open", "half-open")


def text(numbers: Numbers, accept: str = "") -> tuple[bytes, str]:
    """What a scraper is answered, and its content type, by what it accepts."""
    encode, content_type = choose_encoder(accept)
    return encode(_Registry(families(numbers))), content_type


class _Registry:
    """What prometheus-client's encoders ask for."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = list(found)

    def collect(self) -> list[Metric]:
        return self._found


def families(numbers: Numbers) -> Iterator[Metric]:
    """All metrics of which anything is known."""
    yield GaugeMetricFamily("jobs_database_up", "Whether the database answers", value=numbers.database_up)
    yield GaugeMetricFamily("jobs_redis_up", "Whether Redis or Valkey answers", value=numbers.redis_up)
    if numbers.database_up:
        yield from _counters(numbers.totals)
    for name, value in numbers.gauges():
        yield GaugeMetricFamily(f"jobs_{name}", _GAUGES[name], value=value)
    if numbers.redis_up:
        yield from _of_queues(numbers)
        yield _circuits(numbers.circuits)


def _counters(found: Sequence[Total]) -> Iterator[Metric]:
    for name in COUNTS:
        counter = CounterMetricFamily(f"jobs_{name}", _COUNTED[name], labels=["job", "queue"])
        for total in found:
            counter.add_metric([total.job, total.queue], total.count(name))
        yield counter
    processed = CounterMetricFamily("jobs_processed", "Attempts that ended", labels=["job", "queue"])
    for total in found:
        processed.add_metric([total.job, total.queue], total.processed)
    yield processed
    run = HistogramMetricFamily("jobs_run_seconds", "How long attempts ran", labels=["job"])
    for total in totals.by_job(found):
        run.add_metric([total.job], _cumulative(total.runs), sum_value=total.run_ms / 1000)
    yield run
    wait = HistogramMetricFamily("jobs_wait_seconds", "How long runs waited to start", labels=["queue"])
    for total in totals.by_queue(found):
        wait.add_metric([total.queue], _cumulative(total.waits), sum_value=total.wait_ms / 1000)
    yield wait


def _cumulative(buckets: Sequence[int]) -> list[tuple[str, float]]:
    sums = list(accumulate(buckets))
    ends = [(str((histogram.end_ms(bucket) or 0) / 1000), float(sums[bucket])) for bucket in _BUCKETS]
    return [*ends, ("+Inf", float(sums[-1]))]


def _of_queues(numbers: Numbers) -> Iterator[Metric]:
    gauges = {
        name: GaugeMetricFamily(f"jobs_queue_{name}", what, labels=["queue"]) for name, what in _OF_QUEUES.items()
    }
    for queue, name, value in numbers.queue_gauges():
        gauges[name].add_metric([queue], value)
    yield from gauges.values()


def _circuits(phases: dict[str, str]) -> Metric:
    state = GaugeMetricFamily("jobs_circuit_state", "1 for the state that it is in", labels=["circuit", "state"])
    for name, phase in phases.items():
        for each in _PHASES:
            state.add_metric([name, each], float(each == phase))
    return state

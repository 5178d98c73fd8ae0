"""What was counted since ever, by job and queue: the source of counters, which never go down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobs import conf, registry
from jobs.models import MetricTotal
from jobs.models.metrics import COLUMNS, COUNTS, RUNS, WAITS

# Where names end: in monitoring each is a series of its own, for ever.
JOBS_MOST = 200
OTHER = "other"

_FIRST_WAIT, _FIRST_RUN = COLUMNS.index(WAITS[0]), COLUMNS.index(RUNS[0])
_WAIT_MS, _RUN_MS = COLUMNS.index("wait_ms"), COLUMNS.index("run_ms")


class Total(NamedTuple):
    """`sums` are in the order of `COLUMNS`."""

    job: str
    queue: str
    sums: Sequence[int]

    def count(self, name: str) -> int:
        """One of `COUNTS`."""
        return self.sums[COUNTS.index(name)]

    @property
    def processed(self) -> int:
        """Attempts that ended, interrupted ones left out."""
        return sum(self.count(name) for name in ("succeeded", "retried", "dead", "discarded", "cancelled"))

    @property
    def wait_ms(self) -> int:
        return self.sums[_WAIT_MS]

    @property
    def run_ms(self) -> int:
        return self.sums[_RUN_MS]

    @property
    def waits(self) -> Sequence[int]:
        """By bucket."""
        return self.sums[_FIRST_WAIT : _FIRST_WAIT + len(WAITS)]

    @property
    def runs(self) -> Sequence[int]:
        """By bucket."""
        return self.sums[_FIRST_RUN : _FIRST_RUN + len(RUNS)]


def totals() -> list[Total]:
    """The totals by names that are bounded: jobs that are registered here, 200 at the most, and queues of `RQ_QUEUES`.

    All else is counted together as "other". One query.
    """
    rows = MetricTotal.objects.order_by("pk").values_list("name", "queue", *COLUMNS)
    known, queues = set(registry.names()), set(conf.queue_names())
    # Who was there first keeps its name: else a counter would go down when another one comes.
    named: set[str] = set()
    sums: dict[tuple[str, str], Sequence[int]] = {}
    for name, queue, *counts in rows:
        if name in known and len(named) < JOBS_MOST:
            named.add(name)
        key = name if name in named else OTHER, queue if queue in queues else OTHER
        there = sums.get(key)
        sums[key] = counts if there is None else [a + b for a, b in zip(there, counts, strict=True)]
    return [Total(job, queue, counts) for (job, queue), counts in sums.items()]


def by_job(found: Sequence[Total]) -> list[Total]:
    """These totals, all queues together."""
    return _together([total._replace(queue="") for total in found])


def by_queue(found: Sequence[Total]) -> list[Total]:
    """These totals, all jobs together."""
    return _together([total._replace(job="") for total in found])


def _together(found: Sequence[Total]) -> list[Total]:
    sums: dict[tuple[str, str], Sequence[int]] = {}
    for job, queue, counts in found:
        there = sums.get((job, queue))
        sums[job, queue] = counts if there is None else [a + b for a, b in zip(there, counts, strict=True)]
    return [Total(job, queue, counts) for (job, queue), counts in sums.items()]

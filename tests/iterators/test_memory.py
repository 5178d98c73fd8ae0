"""What a loop over 100,000 rows holds in memory, each way in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from orders.models import Customer
from tests.scenarios.workers import ROOT, Workers, workers_in

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 100_000
WAYS = {
    "held": "for row in Customer.objects.all(): use(row)",
    "iterator": "for row in Customer.objects.iterator(chunk_size=500): use(row)",
    "rows": "for _, row in rows(Customer.objects.all(), None): use(row)",
    "chunks": "for _, some in chunks(Customer.objects.all(), None, size=500): [use(row) for row in some]",
}
PROGRAM = """
import django
django.setup()
from jobs.iterators import chunks, rows
from orders.models import Customer

def peak_kb():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])

seen = 0
def use(row):
    global seen
    seen += len(row.email) > 0

next(iter(Customer.objects.all()[:1]))
before = peak_kb()
{way}
print(seen, peak_kb() - before)
"""


@pytest.fixture
def workers(tmp_path) -> Iterator[Workers]:
    with workers_in(tmp_path) as started:
        yield started


def grown_kb(way: str, workers: Workers) -> int:
    """By how much the peak of a process's memory grew while it went through all rows."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(way=WAYS[way])],
        cwd=ROOT,
        env=workers.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    seen, kilobytes = done.stdout.split()
    assert int(seen) == ROWS
    return int(kilobytes)


def test_a_queryset_that_is_held_takes_many_times_what_pages_take(workers: Workers) -> None:
    Customer.objects.bulk_create(
        [Customer(email=f"{number}@example.com", name=f"customer {number}") for number in range(ROWS)], batch_size=5000
    )
    grown = {way: grown_kb(way, workers) for way in WAYS}
    print({way: f"{kilobytes / 1024:.1f} MB" for way, kilobytes in grown.items()})
    least = grown.pop("held") / 10
    assert all(kilobytes < least for kilobytes in grown.values()), grown

"""A newsletter and a large import in real workers that are killed: each letter and each line once.

`STORY_ROWS=100000 pytest tests/scenarios/test_office.py` is the size that we promise. The export has a scenario of its
own.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.models import JobRun
from orders import issues, stock_files
from orders.jobs import import_stock, send_issue
from orders.models import Customer, Newsletter, Product
from orders.partners.mailbox import Mailbox
from tests.orders import history
from tests.orders.making import a_product
from tests.partners import mailbox
from tests.scenarios.workers import Workers, children_of, wait_until

__all__ = ["mailbox"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROWS = int(os.environ.get("STORY_ROWS", "2000"))
# A tenth, which makes 10,000 of the full size.
READERS = ROWS // 10
# Taken in within seconds; fewer would be done before the first kill.
LINES = max(ROWS, 100_000)
KILLS = 4
# A run that was in three crashes is buried.
KILLS_OF_ONE_RUN = 2
PATIENCE = 120 + ROWS / 50


@pytest.fixture
def start(workers: Workers, mailbox: Mailbox, tmp_path: Path, settings: Any) -> Callable[[], Any]:
    """Starts a worker that shares this test's files and mailbox."""
    settings.MEDIA_ROOT = tmp_path / "media"

    def begin() -> Any:
        return workers.start(
            "--concurrency",
            "2",
            SAMPLE_MEDIA=str(tmp_path / "media"),
            EMAIL_URL=mailbox.smtp_url,
            NEWSLETTER_SLICE_SECONDS="0.1",
        )

    return begin


def kill_children(worker: Any) -> None:
    """Kill what runs jobs, with whatever it is at. The supervisor starts others."""
    for pid in children_of(worker.pid):
        with open(f"/proc/{pid}/cmdline") as told:
            if "rqworker" in told.read():
                os.kill(pid, signal.SIGKILL)


def killed_now_and_then(worker: Any, done: Callable[[], int], *, total: int, kills: int = KILLS) -> list[int]:
    """Kill the workers each time so much more is done. Returns what `done` said, in its order."""
    seen = [done()]

    def wait_for(much: int) -> None:
        wait_until(lambda: seen.append(done()) or seen[-1] >= much, seconds=PATIENCE, what=f"{much} of {total}")

    for kill in range(1, kills + 1):
        wait_for(total * kill // (kills + 2))
        kill_children(worker)
    wait_for(total)
    return seen


def test_a_newsletter_reaches_each_reader_once_and_nobody_who_left(start: Callable[[], Any], mailbox: Mailbox) -> None:
    history.readers(READERS)
    issue = issues.write(subject="June", text="New planes.", username="ed", is_ready=True)
    issues.send(issue.pk, on_sending=send_issue.enqueue)
    last = Customer.objects.latest("pk")
    Customer.objects.filter(pk=last.pk).update(newsletter=Newsletter.LEFT)
    worker = start()
    killed_now_and_then(worker, lambda: len(mailbox.messages()), total=READERS - 1)

    def is_finished() -> bool:
        issue.refresh_from_db()
        return issue.finished_at is not None

    wait_until(is_finished, seconds=PATIENCE, what="the issue to be finished")
    told = Counter(address for mail in mailbox.messages() for address in mail["to"])
    assert last.email not in told
    # A letter that was on its way at a kill may come twice, under one Message-ID: nobody knows whether it went out.
    assert set(told) == set(Customer.objects.exclude(pk=last.pk).values_list("email", flat=True))
    assert told.total() <= READERS - 1 + 2 * KILLS
    assert issue.sent + issue.left == issue.asked
    assert issue.failed == 0


def test_a_stock_file_is_taken_in_line_by_line_once(start: Callable[[], Any]) -> None:
    hammer = a_product(stock=0)
    lines = ["T-claw-hammer,1" if number % 100 else f"nothing-{number},1" for number in range(LINES)]
    upload = SimpleUploadedFile("large.csv", "\n".join(["sku,quantity", *lines]).encode())
    kept = stock_files.accept(upload, username="kim", on_accepted=import_stock.enqueue)

    def position() -> int:
        kept.refresh_from_db()
        return kept.position

    worker = start()
    seen = killed_now_and_then(worker, position, total=kept.size, kills=KILLS_OF_ONE_RUN)
    assert seen == sorted(seen)
    hammer.refresh_from_db()
    bad = len(range(0, LINES, 100))
    assert (hammer.stock, kept.good, kept.bad) == (LINES - bad, LINES - bad, bad)
    assert kept.bad_lines.count() == min(bad, stock_files.MOST_BAD_LINES_KEPT)
    assert Product.objects.count() == 1
    wait_until(lambda: JobRun.objects.get().state == "succeeded", seconds=PATIENCE, what="the run to end")
    assert JobRun.objects.get().crashes > 0

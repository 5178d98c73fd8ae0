"""An export of many orders while its workers are killed: each order is one row, and its progress only grows.

`STORY_ROWS=100000 pytest tests/scenarios/test_export.py` is the size that we promise.
"""

from __future__ import annotations

import csv
import os
import signal
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.broker.connection import client
from jobs.models import JobRun
from orders import exports
from orders.jobs import cut_export
from orders.models import Export
from orders.partners.mailbox import Mailbox
from tests.orders import history
from tests.partners import mailbox
from tests.scenarios.workers import Workers, children_of, wait_until

__all__ = ["mailbox"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROWS = int(os.environ.get("STORY_ROWS", "2000"))
DAY = date(2026, 3, 4)
PATIENCE = 120 + ROWS / 100


@pytest.fixture
def media(tmp_path: Path, settings: Any) -> Path:
    """Where this test and its workers keep files."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def test_an_export_under_kills_has_each_row_once_and_its_progress_never_runs_backwards(
    workers: Workers, mailbox: Mailbox, media: Path
) -> None:
    history.orders(ROWS, placed_at=datetime(2026, 3, 4, 12, tzinfo=UTC))
    export = exports.ask(DAY, DAY, username="ann", email="ann@example.com", on_asked=cut_export.enqueue)
    words = {"EMAIL_URL": mailbox.smtp_url, "MAILBOX_URL": mailbox.url, "SAMPLE_MEDIA": str(media), "SAMPLE_LEASE": "5"}
    worker = workers.start("--concurrency", "4", "--processes", "2", **words)
    seen = [0]

    def has_done(rows: int) -> bool:
        seen.append(exports.with_rows_done().get(pk=export.pk).rows_done)
        return seen[-1] >= rows

    for turn in range(3):
        wait_until(lambda turn=turn: has_done(ROWS * (turn + 1) // 5), seconds=PATIENCE, what="some of the rows")
        # A child, the recording process and another child, in some order.
        victims = children_of(worker.pid)
        os.kill(victims[turn % len(victims)], signal.SIGKILL)
    client().flushall()
    wait_until(lambda: has_done(ROWS) and Export.objects.get().built_at, seconds=PATIENCE, what="the file")
    assert seen == sorted(seen)
    assert seen[-1] == ROWS

    with Export.objects.get().file.open("rb") as file:
        numbers = [row["number"] for row in csv.DictReader(line.decode("utf-8-sig") for line in file)]
    assert numbers == [f"O-{turn:07d}" for turn in range(ROWS)]
    mailed = JobRun.objects.filter(name="orders.mail_export")
    wait_until(lambda: mailed.get().state == "succeeded", seconds=60, what="the link to be mailed")
    assert [mail["to"] for mail in mailbox.messages()] == [["ann@example.com"]]

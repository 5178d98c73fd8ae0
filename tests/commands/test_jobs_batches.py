"""`jobs_batches`: the verbs of the console, from a terminal."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs import batches
from jobs.batches import batch
from jobs.management.commands import jobs_batches
from jobs.models import AuditEntry, Batch, BulkAction
from jobs.testing import drain
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("jobs_batches", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def refused(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return caught.value


def filled(count: int = 4, **options: Any) -> Batch:
    with batch("Newsletter May", key="newsletter:17", **options) as b:
        b.enqueue_many(sample.add, [(number, 1) for number in range(count)])
    batches.follow()
    return b.row()


def test_it_lists_those_that_have_not_ended() -> None:
    assert run() == run("list") == "No batch is open.\n"
    row = filled()
    Batch.objects.update(succeeded=1, dead=1)
    line = run()
    assert f"{row.pk}  running    [############            ] 2 of 4 (50 %), 1 dead  Newsletter May" in line
    assert "[newsletter:17]" in line
    Batch.objects.update(succeeded=0, dead=0)
    drain()
    assert run() == "No batch is open.\n"
    assert "succeeded  [########################] 4 of 4 (100 %)  Newsletter May" in run("list", "--all")
    assert run("list", "--state", "cancelled") == 'No batch is in the state "cancelled".\n'


def test_it_shows_one_with_what_is_within_it() -> None:
    with batch("Newsletter May", key="newsletter:17") as b:
        with b.batch("inner") as inner:
            inner.enqueue(sample.add, 1, 2)
        b.enqueue(sample.add, 1, 2)
    assert run("show", str(b.id)) == run("show", "newsletter:17")
    assert [line.split("  ")[-1] for line in run("show", str(b.id)).splitlines()] == ["[newsletter:17]", "inner"]
    told = [json.loads(line) for line in run("show", "newsletter:17", "--json").splitlines()]
    assert (told[0]["total"], told[0]["counts"]["queued"], told[0]["share"], told[0]["nested"]) == (1, 1, 0.0, 1)


def test_it_watches_until_all_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    filled()
    seen = []

    def progress_of(rows: list[Batch]) -> Any:
        seen.append([row.state for row in rows])
        drain()
        return looked(rows)

    looked = batches.progress_of
    monkeypatch.setattr(batches, "progress_of", progress_of)
    monkeypatch.setattr(jobs_batches, "_LINE_SECONDS", 0.0)
    run("list", "--all", "--watch")
    assert seen == [["running"], ["succeeded"]]


def test_it_cancels() -> None:
    row = filled()
    assert refused("cancel", str(row.pk)).returncode == 2
    assert "is cancelled: what waits is taken back" in run("cancel", "newsletter:17", "--reason", "the wrong issue")
    drain()
    row.refresh_from_db()
    assert (row.state, row.cancelled) == ("cancelled", 4)
    entry = AuditEntry.objects.get(action="batch cancel")
    assert entry.actor.startswith("jobs_batches")
    again = refused("cancel", "newsletter:17", "--reason", "again")
    assert (again.returncode, "nothing to cancel" in str(again)) == (1, True)


def test_it_retries_the_failed() -> None:
    with batch("Newsletter May") as b:
        b.enqueue(sample.end_as, "refused")
    drain()
    printed = run("retry", str(b.id), "--reason", "mended", "--canary", "2", "--rate", "5/s")
    action = BulkAction.objects.get()
    assert printed == f"Bulk action {action.pk} retries 1 dead member of batch {b.id}.\n"
    assert (action.canary, action.rate, action.reason) == (2, 5.0, "mended")


@pytest.mark.parametrize("verb", ["show", "cancel", "retry"])
def test_a_batch_that_is_not_there_is_misuse(verb: str) -> None:
    for wrong in ("17", "newsletter:18"):
        error = refused(verb, wrong, *(["--reason", "x"] if verb != "show" else []))
        assert (error.returncode, "There is no batch" in str(error)) == (2, True)

"""`jobs_ledger` finds every run that is lost, and no other; and puts it back."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import ledger
from jobs.batches import batch
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.models import AuditEntry, Batch, JobRun, RunState
from jobs.testing import drain
from tests.engine import a_run, attempt_next, claim, places, work_off
from tests.sample import jobs as sample

pytestmark = pytest.mark.django_db(transaction=True)

YES = ("--reissue", "--yes", "--reason", "lost in the fire")


def run(*arguments: str) -> tuple[str, int]:
    """What the command prints, and its exit status."""
    out = io.StringIO()
    try:
        call_command("jobs_ledger", *arguments, stdout=out, stderr=io.StringIO())
    except SystemExit as exit:
        return out.getvalue(), int(str(exit.code))
    return out.getvalue(), 0


def told(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json")[0])
    return found


def contents() -> dict[bytes, bytes]:
    return {key: client().dump(key) for key in client().keys("*")}


def test_it_balances_wherever_runs_are():
    sample.add.enqueue_many([(n, n) for n in range(4)])
    sample.add.enqueue_in(60, 9, 9)
    work_off()
    sample.add.enqueue_many([(5, 5), (6, 6), (7, 7)])
    a_run(RunState.QUEUED, created_at=timezone.now() - timedelta(minutes=1))
    # The first is running, the second ended and not recorded, the third waits; the row waits for the relay.
    claim()
    attempt_next()
    before = contents()
    printed, status = run()
    assert (status, printed.splitlines()[-1]) == (0, "It balances.")
    assert contents() == before
    total = told()["total"]
    assert (total["enqueued"], total["succeeded"], total["pending"], total["unaccounted"]) == (9, 4, 5, 0)


def test_it_lists_what_is_in_no_place_and_says_so_by_its_status():
    lost, fine = sample.add.enqueue_many([(1, 1), (2, 2)])
    JobRun.objects.update(pushed_at=timezone.now())
    client().delete(keys.job(str(lost.id)))
    client().lrem(keys.queue("default"), 0, str(lost.id))
    printed, status = run()
    assert status == 1
    assert f"{lost.id}  tests.sample.add  default  queued" in printed
    assert "in no place in Redis" in printed
    assert str(fine.id) not in printed
    facts = told()
    assert (facts["balanced"], [one["id"] for one in facts["unaccounted"]]) == (False, [str(lost.id)])
    assert facts["total"] | {"enqueued": 2, "pending": 1, "unaccounted": 1} == facts["total"]
    assert AuditEntry.objects.count() == 0


def test_a_run_whose_id_has_left_its_queue_is_found():
    run_ = sample.add.enqueue(1, 1)
    JobRun.objects.update(pushed_at=timezone.now())
    client().delete(keys.queue("default"))
    assert [one["id"] for one in told()["unaccounted"]] == [str(run_.id)]


def test_a_run_whose_end_nobody_tells_is_found_and_runs_again():
    run_ = sample.add.enqueue(1, 1)
    attempt_next()
    JobRun.objects.update(pushed_at=timezone.now())
    client().delete(keys.JOURNAL)
    assert "it has ended in Redis" in run()[0]
    assert run(*YES)[1] == 0
    work_off()
    assert run_.state == "succeeded"


def test_it_puts_back_what_is_lost_with_who_and_why():
    runs = sample.add.enqueue_many([(n, n) for n in range(3)])
    JobRun.objects.update(pushed_at=timezone.now())
    client().delete(*[keys.job(str(one.id)) for one in runs], keys.queue("default"))
    printed, status = run(*YES)
    assert (status, "3 runs put back" in printed) == (0, True)
    assert [places(one.id) for one in runs] == [["queued:default"]] * 3
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.count, entry.reason) == ("reissue", 3, "lost in the fire")
    assert entry.actor.startswith("jobs_ledger")
    work_off()
    assert run()[1] == 0
    assert [one.state for one in runs] == ["succeeded"] * 3


def test_a_run_that_has_ended_and_would_run_again_is_found_and_removed():
    run_ = sample.add.enqueue(1, 1)
    JobRun.objects.update(state="succeeded", ended_at=timezone.now())
    printed, status = run()
    assert status == 1
    assert "it has ended, and waits or runs in Redis" in printed
    assert told()["surplus_count"] == 1
    printed, status = run(*YES)
    assert (status, "1 run removed" in printed) == (0, True)
    assert places(run_.id) == []
    assert AuditEntry.objects.get().action == "remove"
    assert run()[1] == 0


def test_only_the_range_and_the_job_that_are_named_are_looked_at():
    old = a_run(RunState.RUNNING, created_at=timezone.now() - timedelta(days=2), pushed_at=timezone.now())
    a_run(RunState.RUNNING, name="tests.sample.nap", pushed_at=timezone.now())
    assert told()["total"]["unaccounted"] == 2
    assert [one["id"] for one in told("--until", "1d")["unaccounted"]] == [str(old.pk)]
    assert told("--since", "3d", "--name", "tests.sample.add")["total"]["enqueued"] == 1
    assert told("--since", "1d", "--name", "nap")["total"]["unaccounted"] == 1
    assert told("--since", timezone.now().isoformat())["total"]["enqueued"] == 0
    assert run("--since", timezone.now().date().isoformat(), "--name", "tests.sample.add")[1] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reissue", "--yes"], "Say why"),
        (["--reissue", "--reason", "x", "--json"], "nobody to ask"),
        (["--name", "tests.sample.ad"], 'Did you mean "tests.sample.add"?'),
        (["--since", "yesterday"], "is no moment"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_the_cure(arguments, said):
    with pytest.raises(CommandError, match=said.replace("?", r"\?")):
        run(*arguments)


def test_what_went_on_while_it_looked_is_not_listed(monkeypatch):
    run_ = sample.add.enqueue(1, 1)
    JobRun.objects.update(pushed_at=timezone.now())
    find = ledger.lost.find

    def find_late(rows, **options):
        found = find(rows, **options)
        work_off()
        return [(rows[0], "lost"), *found]

    monkeypatch.setattr(ledger.lost, "find", find_late)
    assert run()[1] == 0
    assert run_.state == "succeeded"


def test_what_ended_just_before_it_was_looked_for_is_not_listed(monkeypatch):
    run_ = sample.add.enqueue(1, 1)
    JobRun.objects.update(pushed_at=timezone.now())
    search = ledger.lost.search

    def search_late(rows):
        if not search_late.done:
            search_late.done = True
            attempt_next()
        return search(rows)

    search_late.done = False
    monkeypatch.setattr(ledger.lost, "find", lambda rows, **options: [(rows[0], "lost")])
    monkeypatch.setattr(ledger.lost, "search", search_late)
    assert run()[1] == 0
    assert search_late.done
    assert run_.state == "queued"


def test_what_ran_to_its_end_while_its_row_was_looked_up_is_no_surplus(monkeypatch):
    run_ = sample.add.enqueue(1, 1)
    ended = ledger.lost.ended

    def ended_late(found):
        work_off()
        return ended(found)

    monkeypatch.setattr(ledger.lost, "ended", ended_late)
    assert run()[1] == 0
    assert run_.state == "succeeded"


def test_what_has_ended_since_it_was_listed_is_not_put_back():
    run_ = sample.add.enqueue(1, 1)
    attempt_next()
    assert ledger.reissue([run_.id], actor="ann", reason="it was lost") == 0
    assert places(run_.id) == []
    assert work_off() == []
    assert (run_.state, AuditEntry.objects.count()) == ("succeeded", 0)


def test_without_redis_it_says_so_and_ends_with_status_2(settings):
    url = "redis://127.0.0.1:1/0"
    settings.RQ_QUEUES = {name: {**options, "URL": url} for name, options in settings.RQ_QUEUES.items()}
    with pytest.raises(CommandError, match="does not answer") as caught:
        run()
    assert caught.value.returncode == 2


def test_many_runs_are_counted_and_the_first_are_shown():
    sample.add.enqueue_many([(n, n) for n in range(600)])
    JobRun.objects.update(pushed_at=timezone.now())
    client().flushall()
    printed, status = run()
    assert status == 1
    assert "600 runs not accounted for" in printed
    assert "… and 580 more" in printed
    assert run(*YES)[1] == 0
    assert client().llen(keys.queue("default")) == 600


def test_it_proves_and_mends_the_counts_of_batches() -> None:
    with batch("Newsletter") as b:
        b.enqueue_many(sample.add, [(1, 2), (2, 2)])
    drain()
    assert run()[1] == 0
    Batch.objects.update(succeeded=1, discarded=1)
    printed, status = run()
    assert f"{b.id}  Newsletter  counted 1 succeeded, 1 discarded, found 2 succeeded" in printed
    assert (status, run("--since", "1d")[1]) == (1, 0)
    printed, status = run(*YES)
    assert (status, "the counts of 1 batch mended" in printed) == (0, True)
    assert (b.row().succeeded, b.row().discarded, run()[1]) == (2, 0, 0)

"""How far a run says it is: noted by the job, told by its child, kept with the row, and never moved back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jobs import RetryPolicy, current_run, dead, fixed, progress, recorder
from jobs.broker import progress as broker
from jobs.broker.claim import Claim
from jobs.broker.connection import client
from jobs.broker.settle import settle
from jobs.errors import BadOptions, BrokerUnavailable
from jobs.models import DeadJob, JobProgress, JobRun
from jobs.models.pruning import delete_in_chunks
from jobs.policy.progress import Progress, read
from jobs.registry import Job
from jobs.testing import drain, inline
from jobs.worker import lifecycle, reporting, telling
from jobs.worker.telling import Telling
from jobs.worker.threads import Running
from tests.engine import OTHER, WORKER, a_run, claim, hash_of, work_off

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = RetryPolicy(attempts=3, backoff=fixed(0))
Says = Callable[..., Job[..., Any]]


@pytest.fixture
def says(make_job: Callable[..., Job[..., Any]]) -> Says:
    """A job that reports these, one list for each attempt, and fails unless it is the last."""

    def make(*attempts: Sequence[tuple[Any, ...]], **options: Any) -> Job[..., Any]:
        left = list(attempts)

        def say() -> None:
            for one in left.pop(0):
                *told, anew = one if len(one) == 4 else (*one, False)
                current_run().progress(*told, anew=anew)
            if left:
                raise RuntimeError("cut off")

        return make_job(say, **({"retry": AT_ONCE} | options))

    return make


def at_work(claims: Sequence[Claim]) -> Callable[[], list[Running]]:
    """What a child's threads run."""
    return lambda: [Running(claim, 0.0) for claim in claims]


def shown(run: Any) -> str:
    found = progress.of(run.row())
    return "" if found is None else str(found)


def test_the_last_word_of_a_run_is_kept_when_it_ends(says: Says) -> None:
    run = says([(number, 1000) for number in range(1001)]).enqueue()
    work_off()
    assert (run.state, shown(run)) == ("succeeded", "1,000 of 1,000 (100 %)")


def test_a_run_that_died_shows_how_far_it_came(says: Says) -> None:
    run = says([(700, 1000, "customers")], [], retry=1).enqueue()
    work_off()
    kept = progress.of(run.row())
    assert run.state == "dead"
    assert kept is not None
    assert (kept.done, kept.total, kept.message, kept.rate) == (700, 1000, "customers", None)


def test_a_run_that_never_said_has_none(says: Says) -> None:
    run = says([]).enqueue()
    work_off()
    assert progress.of(run.row()) is None
    assert "progress" not in hash_of(run.id)
    assert not JobProgress.objects.exists()


def test_it_does_not_go_back_within_a_run(says: Says) -> None:
    run = says([(5, 10), (3, 10), (4, 10)]).enqueue()
    work_off()
    assert shown(run) == "5 of 10 (50 %)"


def test_it_does_not_go_back_when_the_next_attempt_begins_anew(says: Says) -> None:
    run = says([(7, 10)], [(1, 10), (2, 10)], [(8, 10)]).enqueue()
    work_off()
    assert shown(run) == "7 of 10 (70 %)"
    (second,) = claim_due()
    assert read(second.fields["progress"]) is not None
    lifecycle.attempt(second, worker=WORKER.name)
    assert "7,10" in str(reporting.said(second))


def claim_due() -> list[Claim]:
    """The run whose retry is due at once."""
    from jobs import conf
    from jobs.broker.schedule import tick

    tick([], conf.queue_names())
    return claim()


def test_it_goes_back_when_the_job_says_that_it_begins_anew(says: Says) -> None:
    run = says([(7, 10)], [(0, 4, "second part", True), (1, 4)]).enqueue()
    drain(due=True)
    assert shown(run) == "1 of 4 (25 %)"


def test_it_does_not_go_back_when_a_dead_run_is_requeued(says: Says) -> None:
    run = says([(7, 10)], [(1, 10)], retry=1).enqueue()
    work_off()
    dead.requeue(DeadJob.objects.get(), actor="ann")
    work_off()
    assert (run.state, shown(run)) == ("succeeded", "7 of 10 (70 %)")


def test_a_killed_process_leaves_what_it_had_told(says: Says) -> None:
    run = says([(4, 10)], []).enqueue()
    claimed = claim()[0]
    lifecycle.outcome_of(claimed, worker=WORKER.name)
    Telling().tell(at_work([claimed]))
    assert shown(run) == "4 of 10 (40 %)"
    # As the supervisor finds what the process held.
    from jobs.broker.claim import held_by

    (left,) = held_by(WORKER.id)
    settle(WORKER, [lifecycle.conclude(left, lifecycle.Crashed(alone=True), worker=WORKER.name, run_ms=1)])
    recorder.record_all()
    client().flushall()
    assert shown(run) == "4 of 10 (40 %)"


class Told:
    """Stands where what the child tells goes through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[list[str]] = []
        self.is_away = False
        really = broker.tell

        def tell(told: Sequence[tuple[Claim, str]]) -> None:
            if self.is_away:
                raise BrokerUnavailable("away")
            self.sent.append([text for _, text in told])
            really(told)

        monkeypatch.setattr(broker, "tell", tell)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(telling, "_TOLD_EVERY_SECONDS", 0.0)
    return Told(monkeypatch)


def a_claim(make_job: Callable[..., Job[..., Any]], count: int = 1) -> list[Claim]:
    quiet = make_job(lambda: None)
    for _ in range(count):
        quiet.enqueue()
    return claim(count)


def test_the_child_tells_of_all_its_runs_at_once_and_of_each_change_once(make_job, told: Told) -> None:
    first, second, silent = a_claim(make_job, 3)
    teller = Telling()
    teller.tell(at_work([first, second, silent]))
    for one in (first, second):
        reporting.Reporter(one).report(1, 2, "", unit="", anew=False)
    teller.tell(at_work([first, second, silent]))
    teller.tell(at_work([first, second, silent]))
    reporting.Reporter(first).report(2, 2, "", unit="", anew=False)
    teller.tell(at_work([first, second, silent]))
    assert [len(texts) for texts in told.sent] == [2, 1]
    assert hash_of(first.run_id)["progress"].startswith("[2,2,")
    assert "progress" not in hash_of(silent.run_id)


def test_it_tells_no_more_than_now_and_then(make_job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_TOLD_EVERY_SECONDS", 3600.0)
    told = Told(monkeypatch)
    (claimed,) = a_claim(make_job)
    teller = Telling()
    for number in range(5):
        reporting.Reporter(claimed).report(number, 5, "", unit="", anew=False)
        teller.tell(at_work([claimed]))
    assert len(told.sent) == 1


def test_while_redis_is_away_nothing_fails_and_the_latest_is_told_afterwards(make_job, told: Told) -> None:
    (claimed,) = a_claim(make_job)
    teller = Telling()
    told.is_away = True
    for number in (1, 2):
        reporting.Reporter(claimed).report(number, 5, "", unit="", anew=False)
        teller.tell(at_work([claimed]))
    told.is_away = False
    teller.tell(at_work([claimed]))
    assert hash_of(claimed.run_id)["progress"].startswith("[2,5,")


def test_who_was_robbed_does_not_tell(make_job, told: Told) -> None:
    (claimed,) = a_claim(make_job)
    settle(WORKER, [lifecycle.conclude(claimed, lifecycle.Interrupted(), worker=WORKER.name, run_ms=0)])
    claim(worker=OTHER)
    reporting.Reporter(claimed).report(1, 5, "", unit="", anew=False)
    client().hset(f"rq:job:{claimed.run_id}", "claimed_ms", int(claimed.claimed_ms) + 1)
    Telling().tell(at_work([claimed]))
    assert "progress" not in hash_of(claimed.run_id)


def test_secrets_in_the_message_are_masked_and_long_ones_cut(make_job) -> None:
    (claimed,) = a_claim(make_job)
    reporter = reporting.Reporter(claimed)
    reporter.report(1, None, "token=abcdef123", unit="rows", anew=False)
    assert "abcdef" not in str(reporting.said(claimed))
    reporter.report(1, None, "x" * 500, unit="rows", anew=False)
    kept = read(str(reporting.said(claimed)))
    assert kept is not None
    assert (len(kept.message), kept.unit) == (200, "rows")


@pytest.mark.parametrize(
    "bad", [(-1, 2), ("1", 2), (1, "2"), (float("nan"), 1), (1, float("inf")), (True, 1), (1, 2, 3)]
)
def test_what_is_no_progress_is_refused(make_job, bad: tuple[Any, ...]) -> None:
    refusing = make_job(lambda: current_run().progress(*bad), retry=1)
    refusing.enqueue()
    (settlement,) = work_off()
    assert settlement.entry["error_class"].endswith(BadOptions.__name__)


def test_a_message_that_no_database_holds_does_not_cost_the_run_its_end(says: Says) -> None:
    run = says([(1, 2, "half \ud800 and \x00 nothing")]).enqueue()
    work_off()
    kept = progress.of(run.row())
    assert kept is not None
    assert (run.state, kept.message) == ("succeeded", "half ? and  nothing")


def test_a_damaged_hash_is_passed_over(says: Says) -> None:
    run = says([(1, 2)]).enqueue()
    client().hset(f"rq:job:{run.id}", "progress", "[1e400,null,3]")
    assert progress.of(run.row()) is None
    work_off()
    assert shown(run) == "1 of 2 (50 %)"


def test_while_redis_is_away_the_row_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(run_ids: object) -> None:
        raise BrokerUnavailable("away")

    row = a_run("running")
    JobProgress.objects.create(run=row, done=1, total=4, reported_at=row.created_at)
    monkeypatch.setattr(broker, "of", away)
    assert str(progress.of(row)) == "1 of 4 (25 %)"
    assert "1 of 4" in str(JobProgress.objects.get())


def test_many_runs_are_asked_about_in_one_query(django_assert_num_queries) -> None:
    rows = [a_run("running") for _ in range(3)]
    JobProgress.objects.create(run=rows[0], done=1, total=4, reported_at=rows[0].created_at)
    with django_assert_num_queries(1):
        assert progress.of_all(rows).keys() == {rows[0].pk}


def test_progress_goes_with_its_run(says: Says) -> None:
    says([(1, 2)]).enqueue()
    work_off()
    delete_in_chunks(JobRun.objects.all())
    assert not JobProgress.objects.exists()


def test_a_run_without_a_row_shows_it_while_it_lives(says: Says) -> None:
    says([(1, 2)], durable=False).enqueue()
    (claimed,) = claim()
    lifecycle.outcome_of(claimed, worker=WORKER.name)
    Telling().tell(at_work([claimed]))
    assert broker.of([claimed.run_id])[claimed.run_id].done == 1


def test_inline_it_may_be_said(says: Says) -> None:
    with inline() as ran:
        says([(1, 2)]).enqueue()
    assert ran.attempts.counts == {"done": 1}


def test_progress_as_people_read_it() -> None:
    assert Progress(5, 10, rate=2.0).seconds_left == 2.5
    assert Progress(5, None, rate=2.0).seconds_left is None
    assert Progress(5, 10).seconds_left is None

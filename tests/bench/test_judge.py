"""The judge of the fault runs, on ledgers written by hand."""

from __future__ import annotations

from bench.faults.fleet import Hit
from bench.faults.judge import Bookkeeping, Counters, judge, told_deaths
from bench.ledger import Record

WORKER, OTHER, CLIENT = 11, 12, 1
NOTHING = Bookkeeping(runnable=(), failed=())


def asked(key: int, run_id: str | None = "run") -> list[Record]:
    """A job that the client enqueued; without an id, one whose answer never came."""
    answer = [Record("acked", key, CLIENT, 0.1, run_id)] if run_id else []
    return [Record("attempted", key, CLIENT, 0.0), *answer]


def ran(key: int, *, pid: int = WORKER, at: float = 1.0, attempt: int = 1) -> list[Record]:
    return [
        Record("start", key, pid, at, attempt),
        Record("effect", key, pid, at + 0.1),
        Record("end", key, pid, at + 0.1, attempt),
    ]


def counted(records: list[Record], books: Bookkeeping = NOTHING, *hits: Hit) -> Counters:
    return judge(records, books, hits, planned=len(hits), jobs=1)


def test_a_job_that_left_its_effect_is_ok() -> None:
    counters = counted([*asked(1), *ran(1)])
    assert (counters.attempted, counters.acknowledged, counters.ok) == (1, 1, 1)
    assert counters.broken() == []


def test_an_acknowledged_job_that_is_nowhere_is_lost() -> None:
    counters = counted(asked(1))
    assert counters.lost == 1
    assert counters.broken() == ["lost is 1, not 0"]


def test_a_job_that_can_still_run_is_stuck_and_not_lost() -> None:
    counters = counted(asked(1), Bookkeeping(runnable={"run"}, failed=()))
    assert (counters.lost, counters.stuck) == (0, 1)


def test_a_job_that_failed_without_a_start_is_told_apart() -> None:
    counters = counted(asked(1), Bookkeeping(runnable=(), failed={"run"}))
    assert (counters.lost, counters.failed, counters.failed_unrun) == (0, 1, 1)


def test_a_job_whose_answer_was_lost_and_that_ran_is_recovered() -> None:
    assert counted([*asked(1, None), *ran(1)]).recovered == 1


def test_a_job_that_nobody_asked_for_is_unexpected() -> None:
    assert counted([*asked(1), *ran(1), *ran(2)]).unexpected == 1


def test_a_second_start_after_a_kill_is_explained_and_timed() -> None:
    records = [*asked(1), Record("start", 1, WORKER, 1.0, 1), *ran(1, pid=OTHER, at=6.5)]
    counters = counted(records, NOTHING, Hit(1.5, (WORKER,)))
    assert (counters.interrupted, counters.duplicate_runs, counters.recovery_p95_s) == (1, 0, 5.0)


def test_a_second_start_without_a_kill_is_a_duplicate_run() -> None:
    counters = counted([*asked(1), *ran(1), *ran(1, pid=OTHER, at=2.0)], NOTHING, Hit(3.0, (WORKER,)))
    assert (counters.duplicate_runs, counters.duplicate_effects) == (1, 1)


def test_a_second_start_after_its_end_is_a_duplicate_run_though_its_worker_was_killed() -> None:
    first = [record for record in ran(1) if record.kind != "effect"]
    counters = counted([*asked(1), *first, *ran(1, pid=OTHER, at=6.0)], NOTHING, Hit(1.5, (WORKER,)))
    assert (counters.duplicate_runs, counters.duplicate_effects, counters.interrupted) == (1, 0, 0)


def test_an_effect_in_the_database_counts_though_its_process_died_before_it_told() -> None:
    records = [*asked(1), Record("start", 1, WORKER, 1.0, 1)]
    assert counted(records, Bookkeeping(runnable=(), failed=(), effects={1})).ok == 1


def test_a_kill_that_met_nobody_breaks_the_run() -> None:
    counters = judge([*asked(1), *ran(1)], NOTHING, [], planned=2, jobs=1)
    assert counters.broken() == ["0 of 2 planned faults hit"]


def test_a_client_that_enqueued_too_little_breaks_the_run() -> None:
    counters = judge([], NOTHING, [], planned=0, jobs=5)
    assert counters.broken() == ["the client enqueued 0 of 5 jobs"]


def test_a_start_after_a_failure_that_was_told_is_no_duplicate_run() -> None:
    first = [Record("start", 1, WORKER, 1.0, 1), Record("failed", 1, WORKER, 1.1, 1)]
    assert counted([*asked(1), *first, *ran(1, at=2.0, attempt=2)]).duplicate_runs == 0


def test_who_tells_of_its_own_death_explains_what_it_cut_off() -> None:
    records = [*asked(1), Record("start", 1, WORKER, 1.0, 1), Record("fault", -1, WORKER, 1.2, ["mid_job", [WORKER]])]
    hits = told_deaths(records)
    assert hits == [Hit(1.2, (WORKER,))]
    assert counted([*records, *ran(1, pid=OTHER, at=3.0)], NOTHING, *hits).duplicate_runs == 0


def test_a_scenario_may_leave_a_counter_open() -> None:
    counters = counted(asked(1), Bookkeeping(runnable=(), failed={"run"}))
    assert counters.broken(may=("failed",)) == []

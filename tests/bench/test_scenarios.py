"""What the seeds of the scenarios fix, and what their shared state holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.faults import clock_skew, deaths, redis_restart, transactions
from bench.faults.failpoint_sweep import last_key
from bench.faults.fleet import Hit
from bench.faults.hot_place import HotPlace
from bench.faults.scenarios import SCENARIOS
from bench.faults.stop_storm import WAYS, count_cut_off, drawn
from bench.faults.trial import Settings
from bench.ledger import Record
from bench.processes import ROOT
from tests.docs.pages import table


def test_the_same_seed_gives_the_same_stops_and_each_way_in_turn() -> None:
    assert drawn(7, 60) == drawn(7, 60)
    assert drawn(7, 60) != drawn(8, 60)
    assert [stop.way for stop in drawn(7, 6)] == [*WAYS, *WAYS]


def test_an_attempt_that_a_stop_cut_off_is_counted_and_one_that_ended_is_not() -> None:
    records = [Record("start", 1, 11, 1.0, 1), Record("start", 2, 11, 1.0, 1), Record("end", 2, 11, 1.1, 1)]
    assert count_cut_off(records, [Hit(2.0, (11,))]) == 1
    assert count_cut_off(records, [Hit(2.0, (12,))]) == 0


def fates(folder: Path, *, seed: int, point: str = "mid_job") -> list[str]:
    hot = HotPlace(folder / f"hot-{seed}", seed=seed)
    hot.turn("mid_job", most=4, one_in=10)
    return [hot.visit(point) for _ in range(200)]


def test_a_hot_place_kills_as_many_as_planned_in_both_ways_as_the_seed_says(tmp_path: Path) -> None:
    died = [fate for fate in fates(tmp_path, seed=7) if fate]
    assert died == ["alone", "together", "alone", "together"]
    assert fates(tmp_path, seed=7) == fates(tmp_path, seed=7) != fates(tmp_path, seed=8)


def test_only_the_hot_place_kills(tmp_path: Path) -> None:
    assert set(fates(tmp_path, seed=7, point="after_claim")) == {""}


def test_a_client_that_died_goes_on_behind_the_last_job_that_it_told_of(tmp_path: Path) -> None:
    path = tmp_path / "1.ledger"
    assert last_key(path) == -1
    path.write_text('["attempted", 6, 1, 0.1, null]\n["attempted", 7, 1, 0.2, null]\n["fault", -1, 1, 0.3, []]\n')
    assert last_key(path) == 7


def test_every_scenario_is_told_of() -> None:
    told = [cells[0].strip("`") for cells in table(ROOT / "bench" / "README.md", first_header="scenario")]
    assert sorted(told) == sorted(SCENARIOS)


def test_outages_of_a_seed_have_each_moment_in_turn_and_the_second_half_loses_something() -> None:
    outages = redis_restart.drawn(Settings(target="ours", seed=7, jobs=100, kills=10, profile="full"))
    assert outages == redis_restart.drawn(Settings(target="ours", seed=7, jobs=900, kills=10, profile="full"))
    assert [one.moment for one in outages[:4]] == ["idle", "taking", "working", "idle"]
    assert [one.cut for one in outages] == [False] * 5 + [True] * 5
    assert {one.seconds for one in outages} == {1.0, 5.0, 30.0}


def test_what_was_written_behind_a_moment_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "appendonlydir" / "a.incr.aof"
    file.parent.mkdir()
    file.write_text("before")
    sizes = redis_restart.written(tmp_path)
    file.write_text("before and after")
    redis_restart.cut_back(sizes)
    assert file.read_text() == "before"


def test_a_retry_that_came_before_its_wait_is_hasty_and_one_at_once_under_its_old_number_is_not() -> None:
    starts = [Record("start", 1, 11, 1.0, 1), Record("start", 1, 12, 1.1, 1), Record("start", 1, 13, 1.2, 2)]
    assert deaths.count_hasty(starts[:2], [1]) == 0
    assert deaths.count_hasty(starts, [1]) == 1


def test_a_due_job_is_late_by_what_passed_since_its_time() -> None:
    records = [Record("due", 1, 9, 1.0, 3.0), Record("start", 1, 11, 4.5, 1), Record("failed", 2, 11, 5.0, 1)]
    retried = [Record("start", 2, 11, 4.9, 1), Record("start", 2, 12, 7.25, 2)]
    assert clock_skew.lateness(sorted([*records, *retried], key=lambda one: one.at)) == [0.5, 0.25]


def test_of_three_transactions_in_ten_nothing_may_remain_and_one_loses_its_client() -> None:
    fates = [transactions.fate_of(7, key) for key in range(1000)]
    assert fates == [transactions.fate_of(7, key) for key in range(1000)]
    assert 250 < fates.count("roll back") < 350
    assert 70 < fates.count("die") < 130


def test_a_wrong_clock_is_wrong_in_every_way_to_ask_for_the_date_and_in_no_other(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("3600")
    code = (
        "import datetime, time; from datetime import datetime as moment, UTC; import json;"
        "true = datetime.datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC);"
        "ahead = [moment.now(UTC) - true, moment.fromtimestamp(time.time(), UTC) - true,"
        " moment.fromtimestamp(time.time_ns() / 1e9, UTC) - true];"
        "print(json.dumps([round(one.total_seconds()) for one in ahead]), isinstance(true, moment),"
        " time.monotonic() - time.clock_gettime(time.CLOCK_MONOTONIC) < 1)"
    )
    environment = {"PYTHONPATH": str(ROOT / "bench" / "faults" / "wrong_clock"), "BENCH_CLOCK": str(clock)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[3600, 3600, 3600] True True"

"""What the seeds of the scenarios fix, and what their shared state holds."""

from __future__ import annotations

from pathlib import Path

from bench.faults.failpoint_sweep import last_key
from bench.faults.fleet import Hit
from bench.faults.hot_place import HotPlace
from bench.faults.stop_storm import WAYS, count_cut_off, drawn
from bench.ledger import Record


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

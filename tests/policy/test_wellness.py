"""What is wrong follows from what was seen, and what nobody knows is not wrong."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.policy.wellness import problems

WELL: dict[str, Any] = {
    "database": True,
    "redis": True,
    "migrations": True,
    "queues": [{"queue": "default", "forecast": "idle", "depth": 0}],
    "workers": {"live": 1},
    "recorder": {"lag_seconds": 0.2},
    "not_pushed": {"count": 3, "oldest_seconds": 9.0},
    "incidents": [],
}


def found(**seen: Any) -> list[str]:
    return [one.id for one in problems({**WELL, **seen})]


def test_where_all_is_well_nothing_is_wrong() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        ({"database": False}, ["database"]),
        ({"redis": False}, ["redis"]),
        ({"migrations": False}, ["migrations"]),
        ({"workers": {"live": 0}}, ["no_worker"]),
        ({"queues": [{"queue": "low", "forecast": "no_worker", "depth": 3}]}, ["queue_without_worker"]),
        ({"queues": [{"queue": "low", "forecast": "no_worker", "depth": 0}]}, []),
        ({"recorder": {"lag_seconds": 61.0}}, ["recorder"]),
        ({"not_pushed": {"count": 1, "oldest_seconds": 61.0}}, ["not_pushed"]),
        ({"incidents": [{"kind": "depth", "of": "low"}, {"kind": "silence", "of": ""}]}, ["incident", "incident"]),
    ],
)
def test_each_thing_that_is_wrong_has_its_name(seen: dict[str, Any], wrong: list[str]) -> None:
    assert found(**seen) == wrong


def test_without_any_worker_no_queue_is_named_too() -> None:
    queues = [{"queue": "low", "forecast": "no_worker", "depth": 3}]
    assert found(workers={"live": 0}, queues=queues) == ["no_worker"]


def test_what_nobody_knows_is_no_problem_of_its_own() -> None:
    unknown = dict.fromkeys(("migrations", "queues", "workers", "recorder", "not_pushed", "incidents"))
    assert found(redis=False, **unknown) == ["redis"]

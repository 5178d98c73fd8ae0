"""Peers that are not installed are named, with the reason, and get no figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.peers import environment
from bench.place import Place
from bench.targets import TARGETS, Target
from bench.telling import table


def test_what_is_not_installed_is_left_out_with_its_reason() -> None:
    place = Place(Path(), "", None, {"sqlite": None})  # type: ignore[dict-item]
    assert place.can(Target("ours", "", (), lambda *facts: True))
    assert not place.can(Target("absent", "", (), lambda *facts: True, needs="no_such_package"))
    assert not place.can(Target("rows", "", (), lambda *facts: True, database="postgresql"))
    assert place.left_out == {
        "absent": "no_such_package is not installed; make bench installs it",
        "rows": "no postgresql here",
    }


def test_the_table_tells_who_is_left_out() -> None:
    told = table({"ours": {"jobs_per_s": 5}}, left_out={"huey": "not installed"})
    assert told.splitlines()[-1] == "huey: left out, not installed"


def test_peers_are_looked_for_in_their_own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "python"
    own.write_text("#!/bin/sh\nexit 0\n")
    own.chmod(0o700)
    monkeypatch.setenv("BENCH_PEERS", str(own))
    environment.python.cache_clear()
    try:
        assert environment.python() == str(own)
        assert environment.has("whatever")
    finally:
        environment.python.cache_clear()


def test_every_target_has_a_name_of_its_own() -> None:
    names = [target.name for target in TARGETS]
    assert sorted(set(names)) == sorted(names)

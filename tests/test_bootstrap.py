"""A clean machine gets the environment, or is told in one sentence what it lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("run.txt", "dev.txt")
TOO_OLD = "import sys; sys.version_info = (3, 9, 2)"
WITHOUT_ENSUREPIP = "import sys; sys.modules['ensurepip'] = None"


def make(
    *arguments: str, folder: Path = ROOT, path: str = "/usr/bin:/bin", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={"PATH": path, "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
    )


def lock(name: str) -> str:
    return (ROOT / "requirements" / name).read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what `make` reads, and no environment."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def python_that(does_first: str, folder: Path) -> str:
    """An interpreter that runs a line before anything else."""
    interpreter = folder / "some-python"
    interpreter.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -c "{does_first}\n$1"\n')
    interpreter.chmod(0o755)
    return str(interpreter)


def test_make_alone_tells_what_there_is() -> None:
    lines = make().stdout.splitlines()
    assert [line.split()[1] for line in lines] == [
        "help",
        "run",
        "test",
        "bench",
        "lint",
        "format",
        "types",
        "lock",
        "clean",
    ]


def test_a_missing_python_is_one_sentence_with_the_cure(checkout: Path) -> None:
    result = make("test", "PYTHON=python9.9", folder=checkout)
    assert result.returncode != 0
    assert "python9.9 is not on this machine. On Debian or Ubuntu: apt-get install" in result.stderr


def test_a_python_that_is_too_old_is_one_sentence_with_the_cure(checkout: Path) -> None:
    result = make("run", f"PYTHON={python_that(TOO_OLD, checkout)}", folder=checkout)
    assert result.returncode != 0
    assert re.search(r"Jobsite needs Python 3.11 or newer, and \S+ is 3.9. Name another: make", result.stderr)
    assert "Traceback" not in result.stderr


def test_a_python_without_venv_is_one_sentence_with_the_cure(checkout: Path) -> None:
    result = make("run", f"PYTHON={python_that(WITHOUT_ENSUREPIP, checkout)}", folder=checkout)
    assert result.returncode != 0
    assert "cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" in result.stderr


def test_an_environment_that_failed_half_way_is_removed(checkout: Path) -> None:
    half_way = checkout / "half-way-python"
    half_way.write_text('#!/bin/sh\n[ "$1" = -m ] || exit 0\nmkdir -p .venv/bin\ntouch .venv/bin/python\nexit 1\n')
    half_way.chmod(0o755)
    assert make("run", f"PYTHON={half_way}", folder=checkout).returncode != 0
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_names_no_address(name: str) -> None:
    assert not re.findall(r"://|--(?:extra-)?index-url|--find-links|^\s*-f ", lock(name), re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_its_hashes(name: str) -> None:
    entries = re.split(r"\n(?=\S)", lock(name).strip())
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_holds_what_the_project_asks_for(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["postgres"], *extras["demo"]]
    versions = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", lock(name), re.MULTILINE))
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(versions[requirement.name]), requirement


def test_one_lock_serves_old_and_new_pythons() -> None:
    django = re.findall(r"^django==(\d+)\S+ ; (.*) \\$", lock("run.txt"), re.MULTILINE)
    assert django == [("5", "python_full_version < '3.12'"), ("6", "python_full_version >= '3.12'")]


def test_tests_run_on_the_versions_that_the_product_runs_on() -> None:
    pin = re.compile(r"^([a-z0-9-]+==\S+)", re.MULTILINE)
    assert set(pin.findall(lock("run.txt"))) <= set(pin.findall(lock("dev.txt")))


def test_make_clean_removes_what_building_left_and_keeps_the_demos_data(checkout: Path) -> None:
    for folder in ("build", "jobsite.egg-info", "var"):
        (checkout / folder).mkdir()
    assert make("clean", folder=checkout).returncode == 0
    assert {path.name for path in checkout.iterdir()} == {"Makefile", "requirements", "var"}

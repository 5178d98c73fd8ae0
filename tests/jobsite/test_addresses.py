"""The commands of a checkout reach the demo that runs in it, whatever ports it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobsite import addresses
from orders.demo.addresses import Addresses

ROOT = Path(__file__).resolve().parents[2]
LOOK = "from jobsite import settings; print(settings.{name})"
USUAL = "http://127.0.0.1:8101"
DEMO = Addresses(web=8000, payments=8104, warehouse=8105, lists=8107, mailbox=8106, smtp=2526)


def payments_url(folder: Path, **environment: str) -> str:
    return setting("PAYMENTS_URL", folder, **environment)


def setting(wanted: str, folder: Path, **environment: str) -> str:
    """The setting of a process that starts with this `VAR_DIR`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(wanted)}
    command = [sys.executable, "-c", LOOK.format(name=wanted)]
    env = {**inherited, "VAR_DIR": str(folder), **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_a_running_demos_addresses_are_the_settings_until_it_stops(tmp_path: Path) -> None:
    with DEMO.told_in(tmp_path / "addresses.json"):
        assert payments_url(tmp_path) == "http://127.0.0.1:8104"
    assert payments_url(tmp_path) == USUAL
    assert list(tmp_path.iterdir()) == []


def test_what_the_environment_says_wins(tmp_path: Path) -> None:
    with DEMO.told_in(tmp_path / "addresses.json"):
        assert payments_url(tmp_path, PAYMENTS_URL="http://127.0.0.1:9") == "http://127.0.0.1:9"


def test_the_commands_find_the_demos_valkey_whose_socket_is_elsewhere_each_time(tmp_path: Path) -> None:
    DEMO.tell(tmp_path / "addresses.json", REDIS_URL="unix:///tmp/valkey-x/valkey.sock?db=0")
    assert setting("REDIS_URL", tmp_path) == "unix:///tmp/valkey-x/valkey.sock?db=0"
    assert payments_url(tmp_path) == "http://127.0.0.1:8104"


@pytest.mark.parametrize("damaged", [b"", b"{", b"[1]", b"\xff", b'{"PAYMENTS_URL": 3}', b'{"PAYMENTS_URL": "x"}'])
def test_a_damaged_file_says_nothing(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "addresses.json").write_bytes(damaged)
    assert addresses.running(tmp_path / "addresses.json") == {}


def test_what_a_file_says_beside_the_damage_holds(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    path.write_text(json.dumps({"PAYMENTS_URL": USUAL, "MAILBOX_URL": None}))
    assert addresses.running(path) == {"PAYMENTS_URL": USUAL}

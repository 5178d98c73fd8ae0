"""Commands that find no database, or one without tables, say so in one sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

COMMANDS = (["requeue_dead", "--no-input"], ["discard_dead", "--no-input", "--reason", "x"], ["jobs_prune"])


def refused(arguments: list[str], database: str) -> str:
    """The one line that a command prints before it ends with status 2."""
    ended = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    return line


def an_unheard_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_database_without_tables_is_named_with_its_cure(arguments: list[str], tmp_path: Path) -> None:
    assert 'Run "manage.py migrate" first.' in refused(arguments, f"sqlite:///{tmp_path}/empty.sqlite3")


def test_a_database_file_that_cannot_be_opened_is_named_with_its_cure(tmp_path: Path) -> None:
    line = refused(["jobs_prune"], f"sqlite:///{tmp_path}/nowhere/db.sqlite3")
    assert 'The database "default" does not answer' in line
    assert 'correct DATABASES["default"]' in line


def test_a_server_that_does_not_answer_is_named_with_its_cure() -> None:
    line = refused(["requeue_dead", "--no-input"], f"postgres://nobody:x@127.0.0.1:{an_unheard_port()}/nothing")
    assert 'The database "default" does not answer' in line

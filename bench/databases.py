"""Databases of a measurement's own: made, filled with tables, emptied for each round, removed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from bench.processes import ROOT

_SUCCEEDED = "SELECT count(*) FROM jobs_jobrun WHERE state = 'succeeded'"
_TEMPLATE, _ROUND = "jobsite_bench_template", "jobsite_bench_round"


class Database(Protocol):
    """A database that can begin anew."""

    @property
    def url(self) -> str: ...

    def renew(self) -> None:
        """Empty tables, whatever was in them."""

    def count_succeeded(self) -> int:
        """Runs whose success is committed."""


class SQLite:
    """A file in a folder, copied from one that has its tables."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.sqlite3"
        self._file = folder / "round.sqlite3"
        self.url = f"sqlite:///{self._file}"
        migrate(f"sqlite:///{self._template}")

    def renew(self) -> None:
        for leftover in self._file.parent.glob(f"{self._file.name}*"):
            leftover.unlink()
        shutil.copy(self._template, self._file)

    def remove(self) -> None:
        """Nothing: it goes with its folder."""

    def count_succeeded(self) -> int:
        return int(str(self.rows(_SUCCEEDED)[0][0]))

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What a query answers."""
        with closing(sqlite3.connect(self._file, timeout=20)) as connection:
            return connection.execute(query).fetchall()


class PostgreSQL:
    """A database on a server, made from one that has its tables."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self.url = _with_name(server_url, _ROUND)
        self._on_server(f"DROP DATABASE IF EXISTS {_TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {_TEMPLATE}")
        migrate(_with_name(server_url, _TEMPLATE))

    def renew(self) -> None:
        self._on_server(
            f"DROP DATABASE IF EXISTS {_ROUND} WITH (FORCE)", f"CREATE DATABASE {_ROUND} TEMPLATE {_TEMPLATE}"
        )

    def count_succeeded(self) -> int:
        import psycopg

        with psycopg.connect(self.url) as connection:
            row = connection.execute(_SUCCEEDED).fetchone()
        return int(row[0]) if row else 0

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """What a query answers."""
        import psycopg

        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()

    def remove(self) -> None:
        self._on_server(*[f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in (_ROUND, _TEMPLATE)])

    def _on_server(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self._server_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


class OwnPostgreSQL(PostgreSQL):
    """A server of our own in a folder, that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        programs = _postgresql_programs()
        assert programs is not None
        self._data, self._port = folder / "postgresql", _free_port()
        self._data.mkdir()
        self._run = _as_postgres(self._data)
        self._ctl = [f"{programs}/pg_ctl", "-D", str(self._data), "-w"]
        self._run([f"{programs}/initdb", *_initdb_options(self._data)])
        self.start()
        super().__init__(f"postgres://jobsite@127.0.0.1:{self._port}/postgres")

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self._port} -c unix_socket_directories="
        self._run([*self._ctl, "-l", str(self._data / "log"), "-o", options, "start"])

    def stop(self) -> None:
        """As when its machine goes away: no connection is told goodbye."""
        self._run([*self._ctl, "-m", "immediate", "stop"])

    def remove(self) -> None:
        self.stop()


def can_start_postgresql() -> bool:
    """Whether a PostgreSQL server is installed here."""
    return _postgresql_programs() is not None


def _initdb_options(data: Path) -> list[str]:
    return ["-D", str(data), "-U", "jobsite", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]


def migrate(url: str) -> None:
    """Make the tables."""
    environment = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "bench.settings"}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=os.environ | environment, check=True
    )


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[PostgreSQL | None]:
    """Databases of our own on the server of `DATABASE_URL`, else on one that we start; None where neither can be."""
    with _postgresql_server(folder) as url:
        if url is None:
            yield None
            return
        database = PostgreSQL(url)
        try:
            yield database
        finally:
            database.remove()


@contextlib.contextmanager
def _postgresql_server(folder: Path) -> Iterator[str | None]:
    given = os.environ.get("DATABASE_URL", "")
    programs = _postgresql_programs()
    if given.startswith("postgres"):
        yield given
    elif programs is None:
        yield None
    else:
        with _own_server(programs, folder) as url:
            yield url


@contextlib.contextmanager
def _own_server(programs: Path, folder: Path) -> Iterator[str]:
    data, port = folder / "postgresql", _free_port()
    data.mkdir()
    run = _as_postgres(data)
    run([f"{programs}/initdb", *_initdb_options(data)])
    options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories="
    run([f"{programs}/pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start"])
    try:
        yield f"postgres://jobsite@127.0.0.1:{port}/postgres"
    finally:
        run([f"{programs}/pg_ctl", "-D", str(data), "-m", "immediate", "stop"])


def _as_postgres(data: Path) -> Callable[[list[str]], None]:
    """A runner of PostgreSQL's programs, which refuse to run as root."""
    is_root = os.geteuid() == 0
    runuser = _runuser()
    if is_root:
        data.parent.chmod(0o755)
        shutil.chown(data, "postgres")

    def run(command: list[str]) -> None:
        words = [runuser, "-u", "postgres", "--", *command] if is_root else command
        # A session of its own: Ctrl-C is for us, and we stop the server in order.
        subprocess.run(words, cwd="/", check=True, stdout=subprocess.DEVNULL, start_new_session=True)

    return run


def _runuser() -> str:
    # Not every PATH has the folder that it stands in.
    return shutil.which("runuser", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "runuser"


def _postgresql_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).resolve().parent if on_path else None


def _with_name(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

"""Runs our scripts by their hash, in one round trip however many there are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisError, ResponseError

from jobs.broker.connection import client, errors_named, leads_elsewhere, named_error, server_of

_FOLDER = Path(__file__).parent / "scripts"
# What several scripts have in common stands in a file of its own.
_INCLUDED = re.compile(r"^-- include: (\w+)$", re.MULTILINE)


class _Server:
    """See `SERVER`."""


# As the first argument of a script: the id of the server which the script's connection leads to.
SERVER: Final = _Server()
Arguments = Sequence[str | bytes | int | float | _Server]
Call = tuple[str, Arguments]


def run(name: str, arguments: Arguments) -> Any:
    """The answer of the script `name`.lua. Raises `BrokerUnavailable`."""
    return run_all([(name, arguments)])[0]


def run_all(calls: Sequence[Call]) -> list[Any]:
    """The answers of several scripts, sent together and run in order.

    Raises `BrokerUnavailable` when the connection fails, and then nobody knows which of them ran.
    """
    answers = answers_of(calls)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def answers_of(calls: Sequence[Call]) -> list[Any]:
    """The same, with the error of a script that was refused in the place of its answer."""
    with errors_named():
        answers = _send("EVALSHA", calls)
        # A server that restarted has forgotten the scripts; what it answered so says that it did not run.
        for index, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                answers[index] = _send("EVAL", [calls[index]])[0]
    return [_named(answer) if isinstance(answer, RedisError) else answer for answer in answers]


def _send(command: str, calls: Sequence[Call]) -> list[Any]:
    pool = client().connection_pool
    connection = pool.get_connection()
    try:
        server = server_of(connection)
        packed = [
            (command, _source(name) if command == "EVAL" else _sha(name), 0, *_filled(arguments, server))
            for name, arguments in calls
        ]
        connection.send_packed_command(connection.pack_commands(packed))
        answers = [_answer(connection) for _ in calls]
        if any(leads_elsewhere(answer) for answer in answers):
            connection.disconnect()
        return answers
    except BaseException:
        # What was struck or failed half-way would give its answers to the next caller.
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _filled(arguments: Arguments, server: str) -> Arguments:
    return [server, *arguments[1:]] if arguments and arguments[0] is SERVER else arguments


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def _named(error: RedisError) -> Exception:
    named = named_error(error)
    if named is not error:
        named.__cause__ = error
    return named


@cache
def _source(name: str) -> str:
    """The script's text, with what it includes in the place of the line that says so."""
    text = (_FOLDER / f"{name}.lua").read_text()
    return _INCLUDED.sub(lambda found: _source(found[1]), text)


@cache
def _sha(name: str) -> str:
    # SHA-1 is the server's name for a script, no secret.
    return hashlib.sha1(_source(name).encode(), usedforsecurity=False).hexdigest()

"""Runs our scripts by their hash, in one round trip however many there are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

from jobs.broker.connection import client, errors_named

_FOLDER = Path(__file__).parent / "scripts"
Arguments = Sequence[str | bytes | int | float]


def run(name: str, arguments: Arguments) -> Any:
    """The answer of the script `name`.lua. Raises `BrokerUnavailable`."""
    return run_all([(name, arguments)])[0]


def run_all(calls: Sequence[tuple[str, Arguments]]) -> list[Any]:
    """The answers of several scripts, sent together and run in order.

    Raises `BrokerUnavailable` when the connection fails, and then nobody knows which of them ran.
    """
    with errors_named():
        answers = _send(calls)
        # A server that restarted has forgotten the scripts; what it answered so says that it did not run.
        for index, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                name, arguments = calls[index]
                answers[index] = client().eval(_source(name), 0, *arguments)
            elif isinstance(answer, Exception):
                raise answer
        return answers


def _send(calls: Sequence[tuple[str, Arguments]]) -> list[Any]:
    pipeline = client().pipeline(transaction=False)
    for name, arguments in calls:
        pipeline.execute_command("EVALSHA", _sha(name), 0, *arguments)
    answers: list[Any] = pipeline.execute(raise_on_error=False)
    return answers


@cache
def _source(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text()


@cache
def _sha(name: str) -> str:
    # SHA-1 is the server's name for a script, no secret.
    return hashlib.sha1(_source(name).encode(), usedforsecurity=False).hexdigest()

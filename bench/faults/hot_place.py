"""The one failpoint at which processes die at present, and how they die. Shared by all processes of a trial."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.faults.judge import NO_KEY
from bench.ledger import note
from bench.processes import family, kill

# Between two deaths so many others get through, so that nobody is killed again and again at the same run.
_GAP = 4
_LENGTH = 512


class HotPlace:
    """A file that says which place is hot, how often it was reached and how many died there.

    Opened anew each time, so that its lock parts threads as well as processes, and is let go of by who dies.
    """

    def __init__(self, path: Path, *, seed: int) -> None:
        self._path = path
        self._seed = seed
        self._told = 0
        path.write_bytes(b"{}".ljust(_LENGTH))
        self._change(lambda state: {"point": "", "hits": 0})

    def turn(self, point: str, *, most: int, one_in: int) -> None:
        """Make `point` hot until `most` have died: one in so many that get there."""
        self._told = 0
        fresh = {"point": point, "most": most, "one_in": one_in, "visits": 0, "hits": 0, "last": -_GAP}
        self._change(lambda state: fresh)

    def cool(self) -> None:
        """Let nobody die any more."""
        self._change(lambda state: state | {"point": ""})

    @property
    def hits(self) -> int:
        return int(self._change(lambda state: state)["hits"])

    def has_news(self) -> bool:
        """Whether somebody has died since this was asked last."""
        told, self._told = self._told, self.hits
        return self._told > told

    def visit(self, point: str) -> str:
        """Come to a place; how to die there: "" for not at all, "alone", or "together" with the whole worker."""
        fate = ""

        def change(state: dict[str, Any]) -> dict[str, Any]:
            nonlocal fate
            if state["point"] != point or state["hits"] >= state["most"]:
                return state
            state["visits"] += 1
            dice = random.Random(f"{self._seed}/{point}/{state['visits']}")
            gap = min(_GAP, state["one_in"])
            if state["visits"] - state["last"] >= gap and dice.randrange(state["one_in"]) == 0:
                fate = "together" if state["hits"] % 2 else "alone"
                state |= {"hits": state["hits"] + 1, "last": state["visits"]}
            return state

        self._change(change)
        return fate

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        with self._path.open("r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = change(json.loads(os.pread(file.fileno(), _LENGTH, 0)))
            # In one piece: another may kill us at any moment.
            os.pwrite(file.fileno(), json.dumps(state).encode().ljust(_LENGTH), 0)
        return state


class Deaths:
    """What a process does at a hot place."""

    def __init__(self, hot: HotPlace) -> None:
        self._hot = hot
        self._worker = 0

    def begin(self, number: int) -> None:
        """Note that this process is a worker, and those that it forks are its own."""
        self._worker = os.getpid()

    def come(self, point: str) -> None:
        """Die, if it has to be."""
        fate = self._hot.visit(point)
        if not fate:
            return
        others = (
            [pid for pid in family(self._worker) if pid != os.getpid()] if fate == "together" and self._worker else []
        )
        note("fault", NO_KEY, [point, [*others, os.getpid()]])
        # The worker first, or it would start others in the place of those that it sees die.
        kill(others)
        os.kill(os.getpid(), signal.SIGKILL)

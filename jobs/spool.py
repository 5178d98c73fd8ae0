"""A list that may be longer than memory holds: the rest of it is in a temporary file. Knows nothing of jobs."""

from __future__ import annotations

import contextlib
import json
import weakref
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Any

# In memory up to here.
_MOST_CHARACTERS = 4_000_000


class Spool:
    """Values that JSON can carry, in the order in which they were added; read from the first, as often as wanted."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._room = _MOST_CHARACTERS
        # It has a name in no folder, and is gone with its process.
        self._file: IO[bytes] | None = None

    def add(self, value: Any, *, characters: int) -> None:
        """Add a value of about so many characters."""
        if self._file is None and characters <= self._room:
            self._room -= characters
            self._kept.append(value)
            return
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - it is read as long as the spool is there
            weakref.finalize(self, self._file.close)
        self._file.seek(0, 2)
        self._file.write(json.dumps(value).encode() + b"\n")
        try:
            # A full disk is to refuse now, and not when what is here has been promised.
            self._file.flush()
        except OSError:
            with contextlib.suppress(OSError):
                self._file.close()
            raise

    def __iter__(self) -> Iterator[Any]:
        yield from self._kept
        if self._file is not None:
            self._file.seek(0)
            yield from map(json.loads, self._file)

"""A traceback's text as frames, for those who show them one by one. Reads no source."""

from __future__ import annotations

import re
from typing import NamedTuple

_FRAME = re.compile(r'^  File "(?P<file>[^"\n]+)", line (?P<line>\d{1,9}), in (?P<name>[^\n]*)$')
_HEAD = "Traceback (most recent call last):"
_INSTALLED = ("site-packages", "dist-packages", "/lib/python", "<")
_MOST = 100


class Frame(NamedTuple):
    """One call: where, in which function, and the line's code where it is known."""

    file: str
    line: int
    function: str
    code: str
    is_projects: bool


def frames(traceback: str) -> list[Frame]:
    """The frames of the last error that it tells of, the innermost last; none where it tells of no error.

    >>> frames('Traceback (most recent call last):\\n  File "/srv/a.py", line 7, in pay\\n    charge()\\nKeyError: 1')
    [Frame(file='/srv/a.py', line=7, function='pay', code='charge()', is_projects=True)]
    """
    lines = traceback.rpartition(_HEAD)[2].splitlines()
    found = [_frame(match, following) for match, following in _matches(lines)]
    return found[-_MOST:]


def _matches(lines: list[str]) -> list[tuple[re.Match[str], str]]:
    pairs = zip(lines, [*lines[1:], ""], strict=False)
    return [(match, following) for line, following in pairs if (match := _FRAME.match(line))]


def _frame(match: re.Match[str], following: str) -> Frame:
    code = following.strip() if following.startswith("    ") else ""
    is_projects = not any(mark in match["file"] for mark in _INSTALLED)
    return Frame(match["file"], int(match["line"]), match["name"], code, is_projects)

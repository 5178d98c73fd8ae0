"""The examples of docs/testing.md, collected as the tests they are: a name that fails here stands on that page."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.imports import ROOT

GUIDE = ROOT / "docs" / "testing.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> list[tuple[int, str]]:
    """The Python of a page: each block with the number of lines before it."""
    text = path.read_text()
    return [(text.count("\n", 0, found.start(1)), found.group(1)) for found in _BLOCK.finditer(text)]


def promises(path: Path) -> list[str]:
    """The names of the tests on a page, those of methods left out."""
    return [name for _, block in blocks(path) for name in re.findall(r"^def (test_\w+)", block, re.MULTILINE)]


for _before, _block in blocks(GUIDE):
    # Blank lines in front make a traceback point to the line on the page.
    exec(compile("\n" * _before + _block, GUIDE, "exec"), globals())


def test_no_example_hides_another() -> None:
    assert len(promises(GUIDE)) == len(set(promises(GUIDE))) > 10

"""The pages that are documentation, taken apart: fenced blocks, tables, links and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, what it is written in, and its lines."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(language: str) -> list[Block]:
    """All fenced blocks of one language."""
    return [block for page in PAGES for block in _blocks_of(page) if block.language == language]


def commands() -> list[tuple[str, list[str]]]:
    """What a reader is told to type, as (place, words)."""
    return [
        (block.place, shlex.split(line.removeprefix("$ ")))
        for block in blocks("console")
        for line in block.text.splitlines()
        if line.startswith("$ ")
    ]


def links(page: Path) -> list[str]:
    """Where a page's links go, as written."""
    return _LINK.findall(without_blocks(page))


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    return {_anchor(heading) for heading in _HEADING.findall(without_blocks(page))}


def table(page: Path, *, first_header: str) -> list[list[str]]:
    """The rows of the tables whose first column is headed so, as cells."""
    return [row for rows in _tables(page) if rows[0][0] == first_header for row in rows[2:]]


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2))


def without_blocks(page: Path) -> str:
    """The text of a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def _anchor(heading: str) -> str:
    words = re.sub(r"[^\w\- ]", "", heading.lower())
    return words.replace(" ", "-")


def _tables(page: Path) -> Iterator[list[list[str]]]:
    rows: list[list[str]] = []
    for line in [*without_blocks(page).splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in _CELL_BORDER.split(line)[1:-1]])
        elif rows:
            yield rows
            rows = []

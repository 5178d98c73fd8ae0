"""What each module of the sources imports, read from its text: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("jobs", "orders", "jobsite")


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name, and where it stands. `within` is the importing module."""

    within: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.within}:{self.line} imports {self.imported}"


def sources() -> dict[str, Path]:
    """The files of the product by module name, but for migrations: those are Django's to shape."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {_name(path): path for path in sorted(files) if "migrations" not in path.parts}


@cache
def imports() -> tuple[Import, ...]:
    """Every import of the product, also those inside functions and for type checkers."""
    known = sources()
    return tuple(found for within, path in known.items() for found in read(path.read_text(), within, known=known))


def read(text: str, within: str, *, known: dict[str, Path]) -> Iterator[Import]:
    """The imports of one module's text. `from a import b` is `a.b` where that is a module, else `a`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(within, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, within, known)
            for alias in node.names:
                full = f"{module}.{alias.name}"
                yield Import(within, full if full in known else module, node.lineno)


def _absolute(node: ast.ImportFrom, within: str, known: dict[str, Path]) -> str:
    if not node.level:
        return node.module or ""
    is_package = within in known and known[within].name == "__init__.py"
    parts = within.split(".")
    parents = parts[: len(parts) - node.level + is_package]
    return ".".join([*parents, node.module] if node.module else parents)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

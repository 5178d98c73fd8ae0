"""Code in the docs and in docstrings runs, or is quoted from code that does."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import textwrap

import pytest

from jobs import registry, timetable
from tests.docs.pages import ROOT, Block, blocks

PYTHON = blocks("python")
SESSIONS = [block for block in PYTHON if block.text.startswith(">>>")]
QUOTES = [block for block in PYTHON if block.text.splitlines()[0].endswith(".py")]
OTHERS = [block for block in PYTHON if block not in SESSIONS and block not in QUOTES]

_EXAMPLE = re.compile(r"^ *>>> (?!.*\+SKIP)", re.MULTILINE)
MODULES = [
    ".".join(source.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for room in ("jobs", "orders", "jobsite")
    for source in sorted((ROOT / room).rglob("*.py"))
    if _EXAMPLE.search(source.read_text())
]


def places(found: list[Block]) -> list[str]:
    return [block.place for block in found]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0


@pytest.mark.django_db(transaction=True)
def test_the_sessions_in_the_docs_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    # What they define is forgotten with them.
    monkeypatch.setattr(registry, "_jobs", dict(registry._jobs))
    monkeypatch.setattr(timetable, "_timetable", dict(timetable._timetable))
    shared: dict[str, object] = {}
    runner = doctest.DocTestRunner()
    for block in SESSIONS:
        example = doctest.DocTestParser().get_doctest(block.text, shared, block.place, str(block.page), block.line)
        # Later sessions go on where the earlier ones stopped, as a reader does.
        example.globs = shared
        runner.run(example, clear_globs=False)
    assert runner.tries > 5
    assert runner.failures == 0


@pytest.mark.parametrize("block", QUOTES, ids=places(QUOTES))
def test_a_quotation_stands_in_the_code(block: Block) -> None:
    first, _, quoted = block.text.partition("\n")
    assert quoted in (ROOT / first.removeprefix("# ")).read_text()


@pytest.mark.parametrize("block", OTHERS, ids=places(OTHERS))
def test_other_code_can_be_read_by_python(block: Block) -> None:
    ast.parse(textwrap.dedent(block.text))

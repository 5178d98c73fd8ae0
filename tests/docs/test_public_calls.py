"""Each public call has an example in the docs that a test runs."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator

import pytest

import jobs
from tests.architecture.imports import sources
from tests.docs.pages import ROOT, without_blocks
from tests.docs.test_examples import QUOTES, SESSIONS

# What they are is said in annotations; nobody calls them.
TYPES = {"CurrentRun", "Job", "Prepared"}
# They name what is inside.
BUILDERS_PAGES = ("architecture.md", "glossary.md")

# The rooms whose functions are for people and projects; what they do by hand takes an `actor`.
ROOMS = sorted(
    name
    for name in sources()
    if re.fullmatch(r"jobs\.[a-z_]+", name) and name.rpartition(".")[2] not in ("admin", "audit", "broker", "worker")
)
# What else projects call: the others are found, by what they take or where they are named.
OTHERS = {
    "jobs.batches": ("batch", "get", "progress"),
    "jobs.bulk": ("Selection",),
    "jobs.causes": ("matching", "open_dead"),
    "jobs.circuits": ("Circuit", "circuit"),
    "jobs.dead": ("matching",),
    "jobs.emails": ("send_once",),
    "jobs.fuses": ("preview",),
    "jobs.locks": ("lock",),
    "jobs.recovery": ("recover",),
    "jobs.schedules": ("findings", "in_words", "lines", "next_times", "tick", "upcoming"),
    "jobs.workflows": (
        *("Flow", "any_of", "chain", "condition", "ended", "failed", "holds", "item", "previous"),
        "result_of",
    ),
}
NO_EXAMPLE_WITH_REASON = {
    "jobs.clearing.discard_all": "a chunk of queues.clear",
    "jobs.dead.resolve": "a chunk of requeue_all and discard_all",
    "jobs.discards.undo_many": "a chunk of undo_all",
    "jobs.ledger.reissue": "jobs_ledger --reissue calls it, when it has shown what is lost",
    "jobs.ledger.remove": "as above",
    "jobs.markers.mark_done": "the pages' verb; in code it is effects.remember",
    "jobs.markers.release": "the pages' verb; in code it is effects.forget",
    "jobs.pending.cancel_all": "a chunk of a bulk action",
    "jobs.pending.run_all_now": "a chunk of a bulk action",
    "jobs.bulk.check_pace": "pages ask it; code has a pace of its own",
    "jobs.by_hand.edit": "the page's verb; in code, a run is asked for anew",
    "jobs.by_hand.enqueue": "the page's verb; in code it is the job's enqueue",
    "jobs.saved_views.delete": "the page's verb; a search is kept where it was typed",
    "jobs.saved_views.rename": "as above",
    "jobs.saved_views.save": "as above",
}

_GUIDE = (ROOT / "docs" / "testing.md").read_text()
# Sessions and the guide's tests run; quotations stand in code that other tests run.
RUN = "\n".join([*(block.text for block in SESSIONS + QUOTES), _GUIDE])


@pytest.mark.parametrize("name", sorted(set(jobs.__all__) - TYPES))
def test_each_name_of_jobs_stands_in_code_that_runs(name: str) -> None:
    assert re.search(rf"(?<![\w.`]){name}\b(?!`)", RUN)


def verbs() -> Iterator[tuple[str, str]]:
    """What a person does in code: the functions of each room that take an `actor`."""
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in getattr(module, "__all__", vars(module)):
            found = getattr(module, name)
            is_its_own = inspect.isfunction(found) and found.__module__.startswith(room) and not name.startswith("_")
            if is_its_own and "actor" in inspect.signature(found).parameters:
                yield room, name


def named() -> Iterator[tuple[str, str]]:
    """What the pages for users name in their text as `room.function`."""
    pages = [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in BUILDERS_PAGES]
    spans = " ".join(span for page in pages for span in re.findall(r"`([^`\n]+)`", without_blocks(page)))
    for room in ROOMS:
        for name in re.findall(rf"(?<![\w.])(?:jobs\.)?{room.rpartition('.')[2]}\.([a-z_]+)\b", spans):
            if inspect.isfunction(getattr(importlib.import_module(room), name, None)):
                yield room, name


KNOWN = {(room, name) for room, names in OTHERS.items() for name in names}
CALLS = sorted({*verbs(), *named(), *KNOWN} - {tuple(name.rsplit(".", 1)) for name in NO_EXAMPLE_WITH_REASON})


def stands_in_code_that_runs(module: str, name: str) -> bool:
    short = module.rpartition(".")[2]
    imported = re.search(rf"from {module} import [^\n]*\b{name}\b", RUN) and re.search(rf"(?<![\w.]){name}\(", RUN)
    return bool(imported or re.search(rf"\b{short}\.{name}\(", RUN))


@pytest.mark.parametrize(("module", "name"), CALLS)
def test_each_verb_and_each_call_that_a_page_names_stands_in_code_that_runs(module: str, name: str) -> None:
    assert stands_in_code_that_runs(module, name)


def test_an_exception_that_is_not_needed_any_more_goes() -> None:
    there = {f"{room}.{name}" for room, name in verbs()}
    assert {name for name in NO_EXAMPLE_WITH_REASON if name not in there} == set()
    assert not any(stands_in_code_that_runs(*name.rsplit(".", 1)) for name in NO_EXAMPLE_WITH_REASON)

"""Each public call has an example in the docs that a test runs."""

from __future__ import annotations

import importlib
import re

import pytest

import jobs
from tests.docs.pages import ROOT
from tests.docs.test_examples import QUOTES, SESSIONS

# What they are is said in annotations; nobody calls them.
TYPES = {"CurrentRun", "Job", "Prepared"}

CALLS = {
    "jobs.batches": ("batch", "cancel", "check", "current", "get", "progress", "repair", "retry_failed", "start"),
    "jobs.bulk": ("Selection", "ask", "pause", "resume", "stop"),
    "jobs.causes": ("ignore", "matching", "note", "open_dead", "reopen", "resolve", "snooze"),
    "jobs.circuits": ("Circuit", "circuit", "force_close", "force_open", "status", "statuses"),
    "jobs.dead": ("discard", "discard_all", "matching", "requeue", "requeue_all"),
    "jobs.discards": ("undo", "undo_all", "undoable"),
    "jobs.effects": ("forget", "once", "remember"),
    "jobs.emails": ("send_once",),
    "jobs.fuses": ("add", "lift", "preview"),
    "jobs.locks": ("held", "lock", "release"),
    "jobs.schedules": (
        *("add", "edit", "findings", "in_words", "lines", "next_times", "pause", "remove", "resume", "revert"),
        *("run_now", "sync", "tick", "upcoming"),
    ),
    "jobs.recovery": ("add", "recover", "remove", "switch"),
    "jobs.workflows": (
        "Flow",
        "any_of",
        "cancel",
        "chain",
        "condition",
        "current",
        "ended",
        "failed",
        "holds",
        "item",
        "previous",
        "result_of",
        "resume",
        "retry_from",
        "skip",
    ),
}

_GUIDE = (ROOT / "docs" / "testing.md").read_text()
# Sessions and the guide's tests run; quotations stand in code that other tests run.
RUN = "\n".join([*(block.text for block in SESSIONS + QUOTES), _GUIDE])


@pytest.mark.parametrize("name", sorted(set(jobs.__all__) - TYPES))
def test_each_name_of_jobs_stands_in_code_that_runs(name: str) -> None:
    assert re.search(rf"(?<![\w.`]){name}\b(?!`)", RUN)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in CALLS.items() for name in names])
def test_each_call_stands_in_code_that_runs(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)
    short = module.rpartition(".")[2]
    imported = re.search(rf"from {module} import [^\n]*\b{name}\b", RUN) and re.search(rf"(?<![\w.]){name}\(", RUN)
    assert imported or re.search(rf"\b{short}\.{name}\(", RUN)

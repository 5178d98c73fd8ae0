"""The examples that stand in the docs without a prompt run too: here, against stand-ins of what they take for granted.

Those of docs/testing.md are tests themselves (`tests/testing/test_guide.py`), and the settings of the README are those
of a project (`test_own_project.py`).
"""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Callable
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import django
import pytest
from django.utils.module_loading import import_string

from jobs import conf, context, registry
from jobs.models import Effect
from jobs.registry import Job
from tests.docs.pages import ROOT, Block
from tests.docs.test_examples import OTHERS

RUN_ELSEWHERE = ("docs/testing.md", "README.md")
HERE = [block for block in OTHERS if str(block.page.relative_to(ROOT)) not in RUN_ELSEWHERE]

pytestmark = pytest.mark.django_db


class Unavailable(Exception):
    pass


class Declined(Exception):
    pass


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What an example may take for granted: a partner, a warehouse, and models. Its jobs are forgotten with it."""
    monkeypatch.setattr(registry, "_jobs", dict(registry._jobs))
    gateway = MagicMock(Unavailable=Unavailable, Declined=Declined)
    gateway.refund.return_value = {"id": "re_17"}
    return {
        "__name__": "docs.jobs",
        "gateway": gateway,
        "warehouse": MagicMock(),
        "Order": MagicMock(),
        "Payment": MagicMock(),
    }


def _calls_its_jobs(given: dict[str, Any]) -> None:
    for one in [one for one in given.values() if isinstance(one, Job)]:
        one(17)
    if "fulfil_order" in given:
        assert [name for name, *_ in given["warehouse"].mock_calls] == ["pack", "ship"]
    if "refund" in given:
        assert given["gateway"].refund.call_count == 1


def _runs_its_middleware(given: dict[str, Any]) -> None:
    attempt = SimpleNamespace(logger=MagicMock())
    assert given["slow_log"](lambda run: "returned")(attempt) == "returned"
    assert attempt.logger.info.called


def _has_settings_that_can_be(given: dict[str, Any]) -> None:
    assert all(conf.KINDS[key].fits(value) for key, value in given["JOBS"].items())


def _quiets_rq(given: dict[str, Any]) -> None:
    before, root = logging.getLogger("rq").level, logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.config.dictConfig(given["LOGGING"])
    assert logging.getLogger("rq").getEffectiveLevel() == logging.WARNING
    logging.getLogger("rq").setLevel(before)
    root.handlers[:] = handlers
    root.setLevel(level)


def _carries_the_context(given: dict[str, Any]) -> None:
    seen: SimpleQueue[str] = SimpleQueue()
    with context.correlation("docs-1"):
        given["begin"](lambda: seen.put(context.current_correlation()))
    assert seen.get(timeout=10) == "docs-1"


def _serves_strict_pages(given: dict[str, Any]) -> None:
    named = [one for one in given["MIDDLEWARE"] if isinstance(one, str)]
    assert all(import_string(one) for one in named if django.VERSION >= (6,) or ".csp." not in one)
    assert given["SECURE_CSP"]["default-src"] == ["'self'"]


def _dealt_with_doubt(given: dict[str, Any]) -> None:
    assert Effect.objects.get(key="refund-17").result == {"id": "re_99"}


# By what the example defines or imports, the first that there is.
CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "job": _calls_its_jobs,
    "slow_log": _runs_its_middleware,
    "JOBS": _has_settings_that_can_be,
    "LOGGING": _quiets_rq,
    "MIDDLEWARE": _serves_strict_pages,
    "begin": _carries_the_context,
    "effects": _dealt_with_doubt,
}


@pytest.mark.parametrize("block", HERE, ids=[block.place for block in HERE])
def test_it_runs(block: Block, names: dict[str, Any]) -> None:
    exec(compile("\n" * block.line + block.text, block.page, "exec"), names)
    check = next(check for name, check in CHECKS.items() if name in names)
    check(names)

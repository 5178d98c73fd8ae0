"""Imports point down. The rows are those of the design; a new module of `jobs` takes its place in one of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT, Import, imports, read, sources

# From the top. A module may import what stands in a lower row, and its own package.
ROWS = (
    "apps urls",
    "admin management templatetags views testing checks",
    "health",
    "jobs",
    "worker",
    "reconciling sweeping alerts exposition",
    "recorder rq_classes ledger consequences",
    "workflows schedules recovery why",
    "batches queues",
    "bulk by_hand",
    "clearing dead discards retention fuses lost pending figures",
    "saved_views emails effects checkpoints steps iterators metrics relay causes callbacks sheets troubles workers",
    "enqueueing",
    "uniques burials",
    "runs markers",
    "circuits locks",
    "audit renewals members roles",
    "drafts outbox handles error_tracker",
    "progress subjects totals",
    "models",
    "broker",
    # `from jobs import job`: what the package itself carries.
    "__init__",
    "timetable middleware logs tracing sentry",
    "registry context signals spool",
    "conf",
    "policy failpoints",
    "errors",
)
ROW_OF = {component: number for number, row in enumerate(ROWS) for component in row.split()}

SERVERS_LIBRARIES = ("rq", "redis", "django_rq")
MAY_NAME_THEM = ("jobs.broker", "jobs.rq_classes", "jobs.worker", "jobs.testing", "jobs.management.commands.rqworker")
NAMES_THEM_WITH_REASON = {
    "jobs.admin.guard": "it puts django-rq's own pages under the console's permissions",
}
DOORS = (
    "jobs",
    "jobs.batches",
    "jobs.circuits",
    "jobs.dead",
    "jobs.effects",
    "jobs.emails",
    "jobs.iterators",
    "jobs.locks",
    "jobs.progress",
    "jobs.workflows",
    "jobs.schedules",
    "jobs.steps",
    "jobs.subjects",
    "jobs.admin.inlines",
)
OTHER_DOORS_WITH_REASON = {
    ("orders.demo.parts", "jobs.broker.embedded"): "the demo starts a Valkey of its own",
    ("orders.demo.launcher", "jobs.errors"): "and says in a line why that Valkey did not start",
}
POLICY_NAMES_WITH_REASON = {
    ("jobs.policy.cron", "croniter"): "it reads the fields of cron expressions, and is as pure as what asks it",
    ("jobs.policy.cron_words", "cron_descriptor"): "it knows the words of thirty languages for what is due when",
}
READS_ENVIRONMENT_WITH_REASON = {
    "jobs.failpoints": "a test names a place to one process of many; refused unless the settings allow it",
    "jobsite.settings": "the one place where the environment becomes settings",
    "jobsite.wsgi": "names the settings before Django can be asked",
    "jobsite.asgi": "names the settings before Django can be asked",
    "orders.demo.surroundings": "makes the environment of the processes that the launcher starts",
}


def component(module: str) -> str:
    """The part of `jobs` that a module belongs to, `__init__` for the package itself."""
    return module.split(".")[1] if "." in module else "__init__"


def upward(found: Iterable[Import]) -> list[str]:
    """Imports within `jobs` that do not point down."""
    arrows = [(one, component(one.within), component(one.imported)) for one in found if _inside(one)]
    return [str(one) for one, above, below in arrows if above != below and ROW_OF[above] >= ROW_OF[below]]


def is_under(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _inside(one: Import) -> bool:
    return is_under(one.within, "jobs") and is_under(one.imported, "jobs")


def test_every_module_of_jobs_has_its_row() -> None:
    there = {component(module) for module in sources() if is_under(module, "jobs")}
    assert there <= ROW_OF.keys()


def test_imports_point_down() -> None:
    assert upward(imports()) == []


def test_policy_and_errors_import_the_standard_library_and_each_other() -> None:
    pure = ("jobs.policy", "jobs.errors")
    others = [one for one in imports() if is_under(one.within, *pure) and not is_under(one.imported, *pure)]
    others = [one for one in others if (one.within, one.imported) not in POLICY_NAMES_WITH_REASON]
    assert [str(one) for one in others if one.imported.partition(".")[0] not in sys.stdlib_module_names] == []


def test_errors_import_nothing_of_ours() -> None:
    assert [str(one) for one in imports() if one.within == "jobs.errors" and is_under(one.imported, "jobs")] == []


def test_jobs_know_nothing_of_the_shop() -> None:
    shop = ("orders", "jobsite", "tests")
    assert [str(one) for one in imports() if is_under(one.within, "jobs") and is_under(one.imported, *shop)] == []


def test_the_shop_enters_by_the_documented_doors() -> None:
    entered = [one for one in imports() if is_under(one.within, "orders") and is_under(one.imported, "jobs")]
    others = [one for one in entered if one.imported not in DOORS]
    assert [str(one) for one in others if (one.within, one.imported) not in OTHER_DOORS_WITH_REASON] == []


def test_only_the_engine_names_rq_and_redis() -> None:
    allowed = (*MAY_NAME_THEM, *NAMES_THEM_WITH_REASON)
    named = [one for one in imports() if is_under(one.imported, *SERVERS_LIBRARIES)]
    assert [str(one) for one in named if not is_under(one.within, *allowed)] == []


def test_production_code_does_not_import_test_tools() -> None:
    tools = ("jobs.testing", "tests", "pytest")
    found = [one for one in imports() if is_under(one.imported, *tools) and not is_under(one.within, "jobs.testing")]
    assert [str(one) for one in found] == []


def test_only_the_settings_read_the_environment() -> None:
    readers = {module for module, path in sources().items() if list(environment_reads(path.read_text()))}
    assert readers - READS_ENVIRONMENT_WITH_REASON.keys() == set()


def test_an_exception_that_is_not_needed_any_more_goes() -> None:
    naming = {one.within for one in imports() if is_under(one.imported, *SERVERS_LIBRARIES)}
    reading = {module for module, path in sources().items() if list(environment_reads(path.read_text()))}
    entered = {(one.within, one.imported) for one in imports()}
    assert naming >= NAMES_THEM_WITH_REASON.keys()
    assert reading >= READS_ENVIRONMENT_WITH_REASON.keys()
    assert entered >= OTHER_DOORS_WITH_REASON.keys()
    assert entered >= POLICY_NAMES_WITH_REASON.keys()


def test_importing_jobs_loads_no_model() -> None:
    code = "import sys, jobs; print([name for name in sys.modules if name in ('jobs.models', 'django.db.models')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def environment_reads(text: str) -> Iterator[int]:
    """Lines that reach for the environment: `os.environ`, `os.getenv`, or django-environ."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "os" and {"environ", "getenv"} & _names(node):
            yield node.lineno
        if isinstance(node, ast.Import) and "environ" in _names(node):
            yield node.lineno


def _names(node: ast.Import | ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


# That the eyes see: each rule is shown what it must refuse.

KNOWN = {
    name: Path(name) for name in ("jobs", "jobs.runs", "jobs.dead", "jobs.models", "jobs.models.runs", "jobs.conf")
}


@pytest.mark.parametrize(
    ("within", "text", "points_up"),
    [
        ("jobs.runs", "from jobs import dead", True),
        ("jobs.runs", "from jobs.dead import requeue", True),
        ("jobs.runs", "def f():\n    import jobs.dead", True),
        ("jobs.models.runs", "from jobs import runs", True),
        ("jobs.runs", "from jobs.emails import send_once", True),
        ("jobs.conf", "from jobs import job", True),
        ("jobs.dead", "from jobs import runs", False),
        ("jobs.models.runs", "from jobs.models import audit", False),
        ("jobs.runs", "from jobs import job, conf", False),
        ("orders.jobs", "from jobs import dead", False),
    ],
)
def test_an_arrow_that_points_up_is_seen(within: str, text: str, points_up: bool) -> None:
    assert bool(upward(read(text, within, known=KNOWN))) is points_up


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['A']",
        "import os\nos.getenv('A')",
        "from os import environ",
        "import environ",
    ],
)
def test_a_look_at_the_environment_is_seen(text: str) -> None:
    assert list(environment_reads(text))


def test_relative_imports_are_seen_as_what_they_name() -> None:
    known = {"jobs": Path("jobs/__init__.py"), "jobs.dead": Path("jobs/dead.py"), "jobs.runs": Path("jobs/runs.py")}
    assert [one.imported for one in read("from . import dead", "jobs.runs", known=known)] == ["jobs.dead"]
    assert [one.imported for one in read("from .dead import x", "jobs", known=known)] == ["jobs.dead"]

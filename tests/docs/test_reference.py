"""The tables in the docs say what the code says: settings, checks, permissions, keys, signals, words."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from jobs import failpoints, signals
from jobs.conf import Conf
from jobs.models import (
    AuditEntry,
    CircuitsAndLocks,
    Effect,
    FailureCause,
    Fuse,
    Incident,
    JobRun,
    QueuePause,
    RecoveryRule,
    Schedule,
    WorkerProcess,
    Workflow,
)
from jobs.models.dead import DeathReason
from jobs.models.runs import RunState
from jobs.policy.options import Options
from orders.models import EventState
from orders.partners.modes import MODES
from tests.architecture.test_arrows import ROWS
from tests.docs.pages import PAGES, ROOT, blocks, table

DOCS = ROOT / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def first_column(page: str, *, header: str) -> list[str]:
    return [cells[0].strip("`") for cells in table(DOCS / page, first_header=header)]


def default_of(key: Any) -> Any:
    return key.default if key.default is not MISSING else key.default_factory()


def test_every_setting_stands_with_its_default_in_the_order_of_the_code() -> None:
    told = [(key, default) for key, default, _ in table(DOCS / "settings.md", first_header="key")]
    values = [(key.strip("`"), ast.literal_eval(default.strip("`"))) for key, default in told]
    assert values == [(key.name, default_of(key)) for key in fields(Conf)]


def test_every_variable_that_the_demo_reads_is_told() -> None:
    read = set(re.findall(r"^    ([A-Z_]+)=\(", (ROOT / "jobsite" / "settings.py").read_text(), re.MULTILINE))
    told = set(re.findall(r"[A-Z_]+", " ".join(first_column("settings.md", header="variable"))))
    assert told == read | {"VAR_DIR"}


def test_the_readme_names_what_breaks_the_gateway_as_the_menu_does() -> None:
    assert f"*{MODES['error']}*" in (ROOT / "README.md").read_text()


def test_every_mode_of_a_partner_is_told() -> None:
    assert set(first_column("partners-and-shop.md", header="mode")) == set(MODES)


def test_every_end_of_a_webhook_is_told() -> None:
    assert first_column("partners-and-shop.md", header="an event is") == [str(one.label) for one in EventState]


def test_every_check_is_told() -> None:
    sources = (ROOT / "jobs" / "checks.py", ROOT / "jobs" / "broker" / "inspect.py")
    made = {one for source in sources for one in re.findall(r'"(jobs\.[EW]\d{3})"', source.read_text())}
    assert set(first_column("operations.md", header="check")) == made


def test_every_permission_is_told() -> None:
    made = {
        f"jobs.{name}"
        for model in (
            JobRun,
            FailureCause,
            RecoveryRule,
            AuditEntry,
            Effect,
            Fuse,
            Incident,
            CircuitsAndLocks,
            Schedule,
            QueuePause,
            WorkerProcess,
            Workflow,
        )
        for name, _ in model._meta.permissions
    }
    assert set(first_column("operations.md", header="permission")) == made


def test_every_reason_for_a_death_is_told() -> None:
    assert first_column("operations.md", header="reason") == [str(reason.label) for reason in DeathReason]


def test_every_state_of_a_run_is_told() -> None:
    assert first_column("architecture.md", header="state") == list(RunState.values)


def test_the_rows_of_rooms_are_those_that_are_tested() -> None:
    lines = [
        line for block in blocks("text") if block.page.name == "architecture.md" for line in block.text.splitlines()
    ]
    first = lines.index("apps  urls")
    there = [[part for part in row.split() if is_filled(ROOT / "jobs" / part)] for row in ROWS]
    assert [line.split() for line in lines[first:]] == [row for row in there if row]


def is_filled(part: Path) -> bool:
    sources = [part.with_suffix(".py"), *part.rglob("*.py")]
    return any(source.exists() and source.read_text().strip() for source in sources)


def test_every_model_is_told() -> None:
    made = {model.__name__ for model in apps.get_app_config("jobs").get_models() if not model._meta.proxy}
    assert set(first_column("architecture.md", header="model")) == made


def test_every_key_in_redis_is_told() -> None:
    broker = ROOT / "jobs" / "broker"
    sources = [*broker.glob("scripts/*.lua"), broker / "keys.py"]
    named = {key for source in sources for key in re.findall(r"['\"](jobs:[a-z]+|rq:[a-z]+)", source.read_text())}
    told = {":".join(key.split(":")[:2]) for key in re.findall(r"`([a-z]+:[a-z:<>]+)`", key_cells())}
    assert named - told == set()


def key_cells() -> str:
    return " ".join(cells[0] for cells in table(DOCS / "architecture.md", first_header="key"))


def test_every_kind_of_journal_entry_is_told() -> None:
    sources = [source for kind in ("py", "lua") for source in (ROOT / "jobs").rglob(f"*.{kind}")]
    written = re.compile(r"""entry['"]?\s?[:=]\s?['"]([a-z]+)['"]""")
    made = {kind for source in sources for kind in written.findall(source.read_text())}
    assert set(first_column("architecture.md", header="entry")) == made


def test_every_signal_is_told() -> None:
    made = {name for name in vars(signals) if name.startswith(("job_", "circuit_", "queue_", "schedule_", "workflow_"))}
    assert set(first_column("writing-jobs.md", header="signal")) == made


def test_every_option_of_a_job_is_told() -> None:
    options = [*Options.__annotations__, "iterates"]
    told = [cells[0].strip("`") for cells in table(DOCS / "writing-jobs.md", first_header="option")]
    assert sorted(told) == sorted(options)


@pytest.mark.parametrize("word", first_column("glossary.md", header="word"))
def test_a_word_of_the_glossary_is_used(word: str) -> None:
    others = [page for page in PAGES if page != DOCS / "glossary.md"]
    sources = [*others, *(ROOT / "jobs").rglob("*.py")]
    stems = "|".join(re.escape(one)[: max(4, len(one) - 1)] for one in word.split(", "))
    assert any(re.search(rf"\b(?:{stems})", source.read_text(), re.IGNORECASE) for source in sources)


@pytest.mark.parametrize("page", DECISIONS, ids=[page.stem for page in DECISIONS])
def test_a_decision_says_problem_choices_decision_and_when_to_look_again(page: Path) -> None:
    headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert headings == ["Problem", "Choices", "Decision", "What follows", "When to look again"]


def test_each_decision_has_a_number_of_its_own_and_is_listed_under_its_title() -> None:
    numbers = [page.stem[:4] for page in DECISIONS]
    assert sorted(set(numbers)) == numbers
    listed = table(DOCS / "decisions" / "README.md", first_header="number")
    titles = [page.read_text().splitlines()[0].removeprefix("# ") for page in DECISIONS]
    assert listed == [[f"[{page.stem[:4]}]({page.name})", title] for page, title in zip(DECISIONS, titles, strict=True)]


def test_every_failpoint_is_told() -> None:
    assert table(DOCS / "reliability.md", first_header="place") == [
        [f"`{place}`", then] for place, then in failpoints.POINTS.items()
    ]

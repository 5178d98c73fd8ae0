"""What readers are told to type exists and takes these options."""

from __future__ import annotations

import re

import pytest
from django.core.management import get_commands, load_command_class

from tests.docs.pages import ROOT, commands, table

MANAGE = [(place, words) for place, words in commands() if "manage.py" in words]
MAKE = [(place, words) for place, words in commands() if words[0] == "make"]


def parse(words: list[str]) -> None:
    """Raises `CommandError` for options that the command does not have."""
    name, *rest = words[words.index("manage.py") + 1 :]
    command = load_command_class(get_commands()[name], name)
    command.create_parser("manage.py", name).parse_args(rest)


def test_every_command_is_one_that_is_checked_here() -> None:
    assert len(MANAGE) + len(MAKE) == len(commands()) > 15


@pytest.mark.parametrize(("place", "words"), MANAGE, ids=[place for place, _ in MANAGE])
def test_a_management_command_exists_and_takes_its_options(place: str, words: list[str]) -> None:
    parse(words)


@pytest.mark.parametrize(("place", "words"), MAKE, ids=[place for place, _ in MAKE])
def test_a_make_target_exists(place: str, words: list[str]) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert words[1] in targets


def test_every_command_of_jobs_is_in_the_readme() -> None:
    told = {cells[0].strip("`").split()[0] for cells in table(ROOT / "README.md", first_header="command")}
    ours = {name for name, app in get_commands().items() if app == "jobs"}
    assert ours <= told
    assert told <= get_commands().keys()


def test_every_option_of_the_worker_that_we_name_exists() -> None:
    for option, _meaning in table(ROOT / "docs" / "operations.md", first_header="option"):
        takes_no_value = option in ("`--burst`", "`--reload`")
        parse(["manage.py", "rqworker", "default", option.strip("`"), *([] if takes_no_value else ["3"])])

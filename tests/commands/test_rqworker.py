"""What `rqworker` refuses before it starts anything."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--processes", ("0", "-1")),
        ("--concurrency", ("0", "-1")),
        ("--max-jobs", ("0", "-1")),
        ("--max-idle-time", ("-1",)),
        ("--shutdown-timeout", ("nan", "-1", "inf")),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_the_name_of_its_option(option: str, values: tuple[str, ...]) -> None:
    for value in values:
        with pytest.raises(CommandError, match=option):
            call_command("rqworker", f"{option}={value}")

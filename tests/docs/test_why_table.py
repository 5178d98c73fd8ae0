"""The table of reasons in the guide is that of the code."""

from __future__ import annotations

from jobs import why
from jobs.policy.reasons import Why
from tests.docs.pages import ROOT, table


def test_every_reason_is_in_the_table_by_its_title() -> None:
    told = {}
    for title, codes, _ in table(ROOT / "docs" / "console.md", first_header="it says"):
        told |= {code.strip(" `"): title for code in codes.split(",")}
    assert told == {each.value: why.title_of(each) for each in Why}

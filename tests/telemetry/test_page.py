"""The last log lines on the page of a run."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from tests.admin.conftest import person as person
from tests.admin.conftest import viewer as viewer
from tests.admin.rows import a_run, an_attempt

HOSTILE = "<script>alert(1)</script>\"'&{{ 7 }}"


@pytest.mark.django_db
def test_the_page_shows_what_an_attempt_logged_and_runs_none_of_it(viewer: Client) -> None:
    run = a_run(state="dead")
    an_attempt(
        run, 1, log=[[1795000000123, "WARNING", f"shop{HOSTILE}", HOSTILE], [1795000000124, HOSTILE, "x", "a\nb"]]
    )
    content = viewer.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).content.decode()
    assert "<script>alert" not in content
    assert content.count("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;{{ 7 }}") == 3
    assert ".123</time> <b>WARNING</b>" in content


@pytest.mark.django_db
def test_a_trace_is_no_choice_that_the_page_shows(viewer: Client) -> None:
    page = reverse("admin:jobs_jobrun_change", args=[a_run(options={"traceparent": "00-ab"}).pk])
    assert "Changed for this run" not in viewer.get(page).content.decode()
    page = reverse("admin:jobs_jobrun_change", args=[a_run(options={"traceparent": "00-ab", "attempts": 2}).pk])
    content = viewer.get(page).content.decode()
    assert "Changed for this run" in content
    assert "traceparent" not in content


@pytest.mark.parametrize("log", [None, [], "text", [["now", 1, 2, 3], 7, {}], {"a": 1}])
def test_where_there_are_no_lines_nothing_stands(log: object) -> None:
    assert render_to_string("admin/jobs/_attempt_log.html", {"log": log}).strip() == ""

"""While the database is away, the admin says so, and an error of ours stays an error."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, ProgrammingError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory

from jobs.middleware import DatabaseAway

pytestmark = pytest.mark.django_db
RUNS = "/admin/jobs/jobrun/"


def away(*arguments: Any) -> None:
    raise OperationalError("connection to server at 10.0.0.5 failed")


@pytest.fixture
def chief(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("chief"))
    return client


@pytest.mark.parametrize("page", ["/admin/", RUNS, "/admin/jobs/auditentry/", "/admin/auth/user/", "/admin/login/"])
def test_each_page_of_the_admin_says_where_to_look(chief: Client, page: str) -> None:
    with connection.execute_wrapper(away):
        answer = chief.get(page)
    said = answer.content.decode()
    assert answer.status_code == 503
    assert "/readyz" in said
    assert "manage.py jobs_status" in said
    assert "10.0.0.5" not in said
    assert "no-store" in answer.headers["Cache-Control"]


def test_who_was_logged_in_stays_so(chief: Client) -> None:
    with connection.execute_wrapper(away):
        assert chief.get(RUNS).status_code == 503
    assert chief.get(RUNS).status_code == 200


def test_an_error_of_the_database_while_it_answers_stays_an_error() -> None:
    request = RequestFactory().get(RUNS)
    aside = DatabaseAway(lambda request: HttpResponse())
    assert aside.process_exception(request, OperationalError("no such table")) is None
    with connection.execute_wrapper(away):
        assert aside.process_exception(request, ProgrammingError("no such column")) is None
        assert aside.process_exception(request, ValueError("ours")) is None


def test_an_error_page_of_ours_stays_what_it_is() -> None:
    ours = HttpResponse(status=500)
    aside = DatabaseAway(lambda request: ours)
    assert aside(RequestFactory().get(RUNS)) is ours
    with connection.execute_wrapper(away):
        assert aside(RequestFactory().get("/no-page-of-the-admin/")) is ours
        assert aside(RequestFactory().get(RUNS)).status_code == 503

"""Probers learn whether to restart this process and whether to send it traffic, and nothing else."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from jobs.broker import connection as broker


def test_the_process_answers_without_a_database(client: Client) -> None:
    # No mark for the database: a query would fail the test.
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_ready_when_everything_answers(client: Client) -> None:
    response = client.get("/readyz")
    assert response.json() == {"status": "ok", "database": "ok", "redis": "ok", "migrations": "ok"}
    assert response.status_code == 200


@pytest.mark.django_db
def test_not_ready_while_redis_is_away(client: Client, settings: Settings) -> None:
    settings.RQ_QUEUES = {name: {**queue, "URL": "redis://127.0.0.1:1/0"} for name, queue in settings.RQ_QUEUES.items()}
    response = client.get("/readyz")
    assert response.json() == {"status": "unavailable", "database": "ok", "redis": "down", "migrations": "ok"}
    assert response.status_code == 503


@pytest.mark.django_db(transaction=True)
def test_not_ready_while_a_migration_is_missing(client: Client) -> None:
    call_command("migrate", "sessions", "zero", verbosity=0)
    try:
        response = client.get("/readyz")
    finally:
        call_command("migrate", "sessions", verbosity=0)
    assert (response.status_code, response.json()["migrations"]) == (503, "pending")


@pytest.mark.django_db
def test_not_ready_while_the_database_refuses(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "cursor", _refuse)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["database"]) == (503, "down")
    assert "secret" not in response.content.decode()


def _refuse() -> None:
    from django.db import OperationalError

    raise OperationalError("no connection to host secret")


def test_no_prober_gets_an_old_answer_from_a_cache(client: Client) -> None:
    assert "no-store" in client.get("/healthz").headers["Cache-Control"]


def test_only_reading_is_allowed(client: Client) -> None:
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_a_prober_waits_no_longer_than_a_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    hasty: list[bool] = []
    monkeypatch.setattr("jobs.health.readiness.inspect.ping", lambda: hasty.append(broker._is_impatient.get()))
    assert client.get("/readyz").status_code == 200
    assert hasty == [True]

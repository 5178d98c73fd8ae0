"""People with and without permissions, and what a page of the console must never have."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

SHELL_QUERIES = 4
PERMISSIONS = (
    *("view_console", "requeue_job", "discard_job", "cancel_job", "reschedule_job", "view_payload", "view_audit"),
    *("stop_job", "edit_job", "enqueue_job", "export_jobs", "share_view"),
    *("manage_alerts", "manage_fuses", "manage_failures", "manage_recovery", "release_effect"),
    *("manage_circuit", "release_lock", "manage_workflow"),
    *("pause_queue", "clear_queue", "quiet_worker", "stop_worker"),
    *("pause_schedule", "run_schedule", "edit_schedule"),
)


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Every page asks the database."""


@pytest.fixture
def person() -> Callable[..., Client]:
    """Makes a logged-in member of staff who has the named permissions and no others."""

    def make(*permissions: str) -> Client:
        user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
        found = Permission.objects.filter(content_type__app_label="jobs", codename__in=permissions)
        assert found.count() == len(permissions)
        user.user_permissions.set(found)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def operator(person: Callable[..., Client]) -> Client:
    """Somebody who may do everything in the console."""
    return person(*PERMISSIONS)


@pytest.fixture
def viewer(person: Callable[..., Client]) -> Client:
    """Somebody who may look and not act."""
    return person("view_console")


@pytest.fixture
def stranger(person: Callable[..., Client]) -> Client:
    """A member of staff who has nothing to do with jobs."""
    return person()


@pytest.fixture
def assert_strict() -> Callable[[bytes], None]:
    """Fails on what `default-src 'self'` would block: inline scripts, styles and handlers, foreign addresses."""

    def check(content: bytes) -> None:
        page = content.decode()
        assert "<style" not in page
        assert not re.search(r"<[^>]+\s(?:style|on\w+)=", page)
        assert not re.search(r"<script(?![^>]*\ssrc=)", page)
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", page)
        assert "javascript:" not in page

    return check


@pytest.fixture
def django_assert_max_num_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> Callable[..., AbstractContextManager[Any]]:
    """Counts a page's own queries: the shell around it has four at the most, and a test of its own."""
    return lambda most, **words: django_assert_max_num_queries(most + SHELL_QUERIES, **words)

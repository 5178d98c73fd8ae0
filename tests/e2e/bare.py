"""A console with nothing behind it but what a test puts there: real rows, a real server, no worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, StorageState

from tests.e2e.windows import Windows

NAME, PASSWORD = "ada", "correct horse battery staple"


@pytest.fixture
def bare_windows(live_server: Any, chromium: Browser) -> Iterator[Windows]:
    """Opens windows on it, for people who are not logged in."""
    User.objects.create_superuser(NAME, password=PASSWORD)
    opened = Windows(chromium, live_server.url)
    yield opened
    opened.close()


@pytest.fixture
def bare_session(bare_windows: Windows, live_server: Any) -> StorageState:
    """The cookies of one who may do everything there."""
    client = Client()
    client.force_login(User.objects.get(username=NAME))
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    return {"cookies": [{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}], "origins": []}

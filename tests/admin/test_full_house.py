"""Every page, with something of each kind on it: nothing hostile gets out, a look changes nothing, and none hangs."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core import serializers
from django.db import models
from django.test import Client
from pytest_django.fixtures import Settings

from jobs import audit
from jobs.admin import shell
from jobs.broker.connection import client as redis
from jobs.models import AuditEntry
from tests.admin import house
from tests.admin.house import Page

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Out of a text, an attribute in either quotes, a script, a title, a text area, a comment, and a template.
HOSTILE = (
    "\"'><x55 a=`{{7*7}}",
    "</script><x55>",
    "</textarea></title><x55>--><x55>",
    "javascript:x55(1)//' onx55=1 \" onx55=1",
)
# What code reads, and does not only show: a page about nonsense there would be another page.
_READ_BY_CODE = {
    *(
        "expression",
        "timezone",
        "fingerprint",
        "digest",
        "missed",
        "overlap",
        "missed",
        "verb",
        "epoch",
        "key",
        "token",
    ),
    *("rq_id", "outcome", "verdict", "reason_code", "stream_id", "kind", "phase", "resolution", "action", "state"),
}
_ADDRESSES = ("href", "src", "action", "formaction")
# A page in the full house, beside a test's own work, on a machine that has other things to do.
_PATIENCE_SECONDS = 2.0


@pytest.fixture
def chief() -> Client:
    """Somebody who may do everything, and whose browser is told of errors as the world is."""
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("chief"))
    shell.forget()
    return client


@pytest.fixture
def pages() -> list[Page]:
    house.furnish()
    return [page for page in house.pages() if not page.name.startswith(("healthz", "readyz"))]


def looked_at(chief: Client, pages: list[Page]) -> Iterator[tuple[Page, Any]]:
    """Each page that opens by a look, with its answer."""
    for page in pages:
        answer = chief.get(page.address)
        assert answer.status_code < 500, (page.address, answer.status_code)
        yield page, answer


# Nothing hostile gets out.


class Marks(HTMLParser):
    """Finds what a hostile text made of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "x55":
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or "x55" in name:
                self.found.append(f"<{tag} {name}=…>")
            if name in ("href", "src", "action", "formaction") and (value or "").strip().lower().startswith(
                "javascript"
            ):
                self.found.append(f"<{tag} {name}={value}>")


def poison(text: str) -> None:
    """Put a hostile text into every field of every row that people only read."""
    for model in apps.get_app_config("jobs").get_models():
        if model is AuditEntry or model._meta.proxy:
            continue
        for field in model._meta.concrete_fields:
            if _is_shown(field):
                _poison(model, field, text)
    audit.record(actor=text, action=text, target=text, reason=text, before={text: text}, after={text: [text]})
    audit.record(actor=text, action="discard", target=f"schedule {text}", filter={text: text}, address=text)


def _is_shown(field: Any) -> bool:
    is_text = isinstance(field, models.CharField | models.TextField | models.JSONField)
    return is_text and not (field.choices or field.name in _READ_BY_CODE or field.primary_key)


def _poison(model: type[models.Model], field: Any, text: str) -> None:
    for number, row in enumerate(model._default_manager.all()):
        value = getattr(row, field.attname)
        if value is None:
            continue
        if isinstance(field, models.JSONField):
            bad = _poisoned(value, text)
        else:
            # Numbered, for some are unique.
            bad = f"{text[: (field.max_length or 500) - 3]}{number}"
        model._default_manager.filter(pk=row.pk).update(**{field.attname: bad})


def _poisoned(value: Any, text: str) -> Any:
    """JSON with each text in it, that is no word of ours, replaced."""
    if isinstance(value, dict):
        return {key: item if key in ("job", "at", "by") else _poisoned(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [_poisoned(item, text) for item in value]
    return text if isinstance(value, str) and value not in ("success", "failure", "end") else value


@pytest.mark.parametrize("text", HOSTILE)
def test_no_page_lets_a_hostile_text_become_a_part_of_it(chief: Client, pages: list[Page], text: str) -> None:
    poison(text)
    shown = 0
    for page, answer in looked_at(chief, pages):
        marks = Marks()
        content = answer.content.decode()
        marks.feed(content)
        assert marks.found == [], page.address
        assert "49`" not in content
        shown += "x55" in content
    # That it is there to be seen at all.
    assert shown > 15


# A look changes nothing.


def _state() -> tuple[str, str]:
    rows = hashlib.sha256()
    for model in apps.get_app_config("jobs").get_models():
        if not model._meta.proxy:
            rows.update(serializers.serialize("json", model._default_manager.order_by("pk")).encode())
    return rows.hexdigest(), _digest()


def _digest() -> str:
    """What Redis holds: each key with its value, and whether it has an end."""
    told = hashlib.sha256()
    for key in sorted(redis().keys("*")):
        told.update(key + (redis().dump(key) or b"") + (b"ends" if redis().pttl(key) >= 0 else b""))
    return told.hexdigest()


def test_a_look_at_every_page_changes_neither_the_tables_nor_redis(chief: Client, pages: list[Page]) -> None:
    before = _state()
    for page, _answer in looked_at(chief, pages):
        if _state()[1] != before[1]:
            raise AssertionError(f"{page.address} has changed Redis")
    assert _state() == before


def test_head_is_answered_as_get_is(chief: Client, pages: list[Page]) -> None:
    for page in pages[::4]:
        assert chief.head(page.address).status_code == chief.get(page.address).status_code, page


# None hangs.


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        taken: list[socket.socket] = []
        server.settimeout(0.1)
        stop = threading.Event()

        def take() -> None:
            while not stop.is_set():
                try:
                    taken.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=take)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        stop.set()
        thread.join()
        for one in taken:
            one.close()


def _lead_to(settings: Settings, url: str) -> None:
    settings.RQ_QUEUES = {name: {**queue, "URL": url} for name, queue in settings.RQ_QUEUES.items()}
    shell.forget()


def test_with_nobody_at_redis_address_every_page_answers_in_time_and_says_so(
    chief: Client, pages: list[Page], settings: Settings
) -> None:
    _lead_to(settings, "redis://127.0.0.1:1/0")
    _answers_in_time(chief, pages)


def test_with_a_redis_that_hangs_every_page_answers_in_time_and_says_so(
    chief: Client, pages: list[Page], settings: Settings, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lead_to(settings, silent)
    # The first page waits for it, as any would; the others know.
    started = time.perf_counter()
    chief.get(pages[0].address)
    assert time.perf_counter() - started < _PATIENCE_SECONDS + 1
    _answers_in_time(chief, pages)


def _answers_in_time(chief: Client, pages: list[Page]) -> None:
    for page in pages:
        started = time.perf_counter()
        answer = chief.get(page.address)
        took = time.perf_counter() - started
        assert took < _PATIENCE_SECONDS, (page.address, took)
        assert answer.status_code < 500 or answer.status_code == 503, page.address
        if answer.status_code == 200 and page.name.startswith("jobs_"):
            assert re.search(rb"Redis", answer.content), page.address

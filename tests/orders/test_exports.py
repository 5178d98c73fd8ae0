"""Exports: each order once, cells that no spreadsheet runs, one file, and a link for those who may have it."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs import dead
from jobs.models import DeadJob, JobRun
from jobs.testing import drain
from orders import export_rows, exports
from orders.jobs import build_export, cut_export, write_export_part
from orders.models import Export, ExportPart, Order
from orders.partners.mailbox import Mailbox
from tests.orders import history
from tests.orders.making import ADDRESS, an_order

DAY = date(2026, 5, 17)
NOON = timezone.make_aware(timezone.datetime(2026, 5, 17, 12))


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


@pytest.fixture
def exporter(db: None) -> Client:
    """Somebody who may export orders."""
    user = User.objects.create_user("eva", "eva@example.com", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="export_orders"))
    client = Client()
    client.force_login(user)
    return client


def ask(first: date = DAY, last: date = DAY) -> Export:
    return exports.ask(first, last, username="eva", email="eva@example.com", on_asked=cut_export.enqueue)


def rows_of(export: Export) -> list[dict[str, str]]:
    export.refresh_from_db()
    with export.file.open() as file:
        return list(csv.DictReader(io.StringIO(file.read().decode("utf-8-sig"), newline="")))


def rows_done(export: Export) -> int:
    return int(exports.with_rows_done().get(pk=export.pk).rows_done)


@pytest.mark.parametrize(
    "text", ["=1+1", "+49 30", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\N{FULLWIDTH EQUALS SIGN}1"]
)
def test_what_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    assert export_rows.cell(text) == f"'{text}"


@given(st.lists(st.text(max_size=20), min_size=1, max_size=3))
@hypothesis_settings(max_examples=50)
def test_any_text_comes_back_from_the_file_as_it_was(cells: list[str]) -> None:
    text = export_rows.lines([cells])
    assert text.isascii() or text.encode("utf-8", "replace")
    (found,) = csv.reader(io.StringIO(text, newline=""))
    assert found == cells


@pytest.mark.django_db
def test_each_order_of_the_days_is_one_row_and_no_other(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SLICE_ROWS", 10)
    history.orders(25, placed_at=NOON)
    wanted = set(Order.objects.values_list("number", flat=True))
    Order.objects.filter(number="O-0000003").update(placed_at=NOON + timedelta(hours=12))
    Order.objects.filter(number="O-0000004").update(placed_at=NOON - timedelta(hours=12, seconds=1))
    export = ask()
    drain()
    found = [row["number"] for row in rows_of(export)]
    assert sorted(found) == sorted(wanted - {"O-0000003", "O-0000004"})
    assert (export.total, export.slices, export.parts.count()) == (23, 3, 0)
    assert JobRun.objects.filter(name="orders.write_export_part", state="succeeded").count() == 3
    (letter,) = mailbox.messages()
    assert letter["to"] == ["eva@example.com"]
    assert "23 rows" in letter["text"]


@pytest.mark.django_db
def test_a_row_has_what_people_typed_in_without_its_teeth(mailbox: Mailbox) -> None:
    order = an_order(address=type(ADDRESS)("=HYPERLINK(A1)", 'Road "7", left', "10115", "Berlin"))
    export = ask(timezone.localdate(), timezone.localdate())
    drain(queues=["low"])
    (row,) = rows_of(export)
    assert (row["name"], row["street"]) == ("'=HYPERLINK(A1)", 'Road "7", left')
    assert (row["number"], row["total"], row["goods"]) == (order.number, "57.80", "2 of Claw hammer")


@pytest.mark.django_db
def test_an_export_of_no_orders_is_a_file_with_its_first_line(mailbox: Mailbox) -> None:
    export = ask()
    drain()
    assert rows_of(export) == []
    assert (export.total, len(mailbox.messages())) == (0, 1)


@pytest.mark.django_db
def test_progress_never_runs_backwards_whatever_is_repeated(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SLICE_ROWS", 5)
    history.orders(20, placed_at=NOON)
    cut = cut_export.using(queue="default").enqueue
    export = exports.ask(DAY, DAY, username="eva", email="eva@example.com", on_asked=cut)
    drain(queues=["default"])
    seen = [rows_done(export)]
    calls = [run.arguments for run in JobRun.objects.filter(name="orders.write_export_part")]
    for arguments in sorted(calls, key=lambda call: int(call["position"])):
        write_export_part.function(**arguments)
        seen.append(rows_done(export))
        # An order goes, and the slice is written once more: what was counted stays.
        Order.objects.filter(pk=arguments["first"]).update(placed_at=NOON - timedelta(days=3))
        write_export_part.function(**arguments)
        seen.append(rows_done(export))
    build_export.function(export.pk)
    seen.append(rows_done(export))
    build_export.function(export.pk)
    write_export_part.function(**calls[0])
    seen.append(rows_done(export))
    assert seen == sorted(seen)
    assert (seen[-1], len(rows_of(export)), ExportPart.objects.count()) == (20, 20, 0)


@pytest.mark.django_db
def test_asking_for_the_parts_again_asks_for_none_twice(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SLICE_ROWS", 5)
    history.orders(10, placed_at=NOON)
    export = ask()
    cut_export.function(export.pk)
    cut_export.function(export.pk)
    assert JobRun.objects.filter(name="orders.write_export_part").count() == 2
    drain()
    assert len(rows_of(export)) == 10
    assert len(mailbox.messages()) == 1


@pytest.mark.django_db
def test_a_part_that_cannot_be_written_is_shown_and_retried_by_a_person(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.orders(3, placed_at=NOON)
    export = ask()
    monkeypatch.setattr(export_rows, "row", lambda order: 1 / 0)
    drain(due=True)
    export.refresh_from_db()
    assert "could not be written" in export.problem
    assert not export.file
    monkeypatch.undo()
    dead.requeue(DeadJob.objects.get(), actor="ann")
    drain(due=True)
    assert len(rows_of(export)) == 3
    assert (export.problem, len(mailbox.messages())) == ("", 1)


@pytest.mark.django_db
def test_a_file_that_cannot_be_built_is_shown_and_built_when_its_run_is_retried(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.orders(3, placed_at=NOON)
    export = ask()
    monkeypatch.setattr(exports, "_write", lambda *args: 1 / 0)
    drain(due=True)
    export.refresh_from_db()
    assert "could not be made" in export.problem
    monkeypatch.undo()
    dead.requeue(DeadJob.objects.get(), actor="ann")
    drain(due=True)
    assert len(rows_of(export)) == 3
    assert export.problem == ""


@pytest.mark.django_db
def test_the_mailed_link_opens_the_file_for_those_who_may_export(
    exporter: Client, client: Client, mailbox: Mailbox
) -> None:
    history.orders(2, placed_at=NOON)
    ask()
    drain()
    found = re.search(r"http://[^/]+(/staff/exports/\S+)", mailbox.messages()[0]["text"])
    assert found
    answer = exporter.get(found[1])
    assert answer["Content-Disposition"] == 'attachment; filename="orders-2026-05-17-2026-05-17.csv"'
    assert b"".join(answer.streaming_content).count(b"\r\n") == 3
    assert client.get(found[1]).status_code == 302
    client.force_login(User.objects.create_user("olga", is_staff=True))
    assert client.get(found[1]).status_code == 403
    # It closes the test's connection to the database too.
    answer.close()


def test_a_link_that_is_too_old_or_of_another_export_opens_nothing(exporter: Client, mailbox: Mailbox) -> None:
    first, second = ask(), ask()
    drain()
    token = exports.token(first)
    assert exporter.get(reverse("staff_export_file", args=[second.pk, token])).status_code == 404
    assert exporter.get(reverse("staff_export_file", args=[first.pk, "1:forged:x"])).status_code == 404
    answer = exporter.get(reverse("staff_export_fetch", args=[first.pk]), follow=True)
    assert b"number" in b"".join(answer.streaming_content)
    answer.close()


def test_a_link_is_of_use_for_three_days(exporter: Client, mailbox: Mailbox) -> None:
    export = ask()
    drain()
    token = exports.token(export)
    with time_machine.travel(timezone.now() + timedelta(days=2, hours=23)):
        assert exports.opens(export, token)
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert not exports.opens(export, token)


def test_after_a_week_the_file_is_gone_and_the_page_says_so(exporter: Client, mailbox: Mailbox, media: Path) -> None:
    export = ask()
    drain()
    assert exports.throw_away_old(timezone.now()) == 0
    assert exports.throw_away_old(timezone.now() + timedelta(days=8)) == 1
    answer = exporter.get(reverse("staff_export_fetch", args=[export.pk]), follow=True)
    assert answer.status_code == 410
    assert list(media.rglob("*.csv")) == []
    assert "thrown away" in exporter.get(reverse("staff_exports")).content.decode()


def test_staff_ask_for_an_export_and_see_how_far_it_is(exporter: Client, mailbox: Mailbox) -> None:
    history.orders(3, placed_at=NOON)
    wish = {"first_day": "2026-05-01", "last_day": "2026-05-31", "email": "eva@example.com"}
    assert "being made" in exporter.post(reverse("staff_exports"), wish, follow=True).content.decode()
    drain()
    page = exporter.get(reverse("staff_export_progress")).content.decode()
    assert "3 of 3 rows, 100 %" in page
    assert "Fetch the file" in page


def test_the_form_begins_with_days_as_browsers_take_them(exporter: Client) -> None:
    page = exporter.get(reverse("staff_exports")).content.decode()
    assert (
        len(re.findall(r'type="date"[^>]* value="\d{4}-\d\d-\d\d"|value="\d{4}-\d\d-\d\d"[^>]* type="date"', page)) == 2
    )


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [("2026-05-02", "2026-05-01", "not be before"), ("2020-01-01", "2026-05-01", "At most 366"), ("", "x", "required")],
)
def test_days_that_make_no_sense_come_back_marked(exporter: Client, first: str, last: str, words: str) -> None:
    answer = exporter.post(reverse("staff_exports"), {"first_day": first, "last_day": last, "email": "e@example.com"})
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not Export.objects.exists()


def test_only_who_may_exports_and_all_staff_may_look(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("olga", is_staff=True))
    assert "may not export" in client.get(reverse("staff_exports")).content.decode()
    wish = {"first_day": "2026-05-01", "last_day": "2026-05-31", "email": "olga@example.com"}
    assert client.post(reverse("staff_exports"), wish).status_code == 403
    assert not Export.objects.exists()

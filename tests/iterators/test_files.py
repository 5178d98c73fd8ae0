"""Lines and rows of a file from any cursor on; a file that is another one by then is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import progress
from jobs.errors import BadOptions, SourceChanged
from jobs.iterators import csv_rows, csv_rows_of, lines, lines_of
from jobs.registry import Job
from jobs.testing import drain
from jobs.worker import item_count
from tests import engine
from tests.engine import work_off

make_job = engine.make_job

STOCK = 'sku;count;note\r\nA-1;3;\r\nB-2;5;"two\r\nlines; and a ""quote"""\r\n\r\nC-3;8;ünïcödé\r\n'


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    path = tmp_path / "stock.csv"
    path.write_bytes(STOCK.encode())
    return path


def stored(cursor: Any) -> Any:
    """A cursor as the next attempt gets it."""
    return json.loads(json.dumps(cursor))


def test_each_row_has_its_columns_and_its_line(stock: Path) -> None:
    found = [row for _, row in csv_rows(stock, None, delimiter=";")]
    assert found == [
        {"sku": "A-1", "count": "3", "note": ""},
        {"sku": "B-2", "count": "5", "note": 'two\r\nlines; and a "quote"'},
        {"sku": "C-3", "count": "8", "note": "ünïcödé"},
    ]
    assert [row.line for row in found] == [2, 4, 6]


def test_going_on_from_any_row_gives_what_follows(stock: Path) -> None:
    pairs = [(stored(cursor), row) for cursor, row in csv_rows(stock, None, delimiter=";")]
    for done, (cursor, _) in enumerate(pairs, start=1):
        rest = [row for _, row in csv_rows(stock, cursor, delimiter=";")]
        assert rest == [row for _, row in pairs[done:]]
        assert [row.line for row in rest] == [row.line for _, row in pairs[done:]]


def test_rows_that_are_too_short_or_too_long_are_as_csv_has_them(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("a,b\n1\n1,2,3\n")
    assert [row for _, row in csv_rows(path, None)] == list(csv.DictReader(io.StringIO(path.read_text())))


def test_columns_may_be_named_where_the_file_does_not(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("1,2\n3,4\n")
    assert [row["b"] for _, row in csv_rows(path, None, columns=["a", "b"])] == ["2", "4"]


def test_an_empty_file_has_no_rows_and_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert list(csv_rows(path, None)) == list(lines(path, None)) == []


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbfsku,count\nA-1,3\nB-2,4\n")
    (cursor, first), _ = csv_rows(path, None)
    assert first == {"sku": "A-1", "count": "3"}
    assert [row["sku"] for _, row in csv_rows(path, stored(cursor))] == ["B-2"]


def test_lines_come_without_their_ends_and_the_last_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\r\n\ntwo\x85\nthree")
    assert [line for _, line in lines(path, None, encoding="latin-1")] == ["one", "", "two\x85", "three"]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=6)


@settings(max_examples=20, deadline=None)
@given(table=st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=6))
def test_whatever_a_file_holds_each_row_comes_once(table: list[list[str]], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["a", "b"], *table])
    pairs = [(stored(cursor), [row["a"], row["b"]]) for cursor, row in csv_rows(path, None)]
    assert [row for _, row in pairs] == table
    for done, (cursor, _) in enumerate(pairs, start=1):
        assert [[row["a"], row["b"]] for _, row in csv_rows(path, cursor)] == table[done:]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text + b"D-4;1;\r\n", "90 bytes, and had 82"),
        (lambda text: text[:40], "40 bytes, and"),
        (lambda text: text.replace(b"A-1", b"X-1"), "it begins with other bytes"),
        (lambda text: b"", "0 bytes, and"),
    ],
)
def test_a_file_that_is_another_one_by_now_is_refused(stock: Path, change: Callable[[bytes], bytes], why: str) -> None:
    (cursor, _), *_ = csv_rows(stock, None, delimiter=";")
    stock.write_bytes(change(stock.read_bytes()))
    with pytest.raises(SourceChanged, match=why):
        next(csv_rows(stock, stored(cursor), delimiter=";"))


def test_a_change_behind_the_first_bytes_is_seen_where_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"0123456\n" * 20_000)
    cursor = [cursor for cursor, _ in lines(path, None)][15_000]
    with path.open("r+b") as file:
        file.seek(15_000 * 8)
        file.write(b"changed")
    with pytest.raises(SourceChanged, match="other bytes stand before byte 120,008"):
        next(lines(path, stored(cursor)))


def test_a_line_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mixed"
    path.write_bytes(b"plain\n\xff\n")
    read = lines(path, None)
    next(read)
    with pytest.raises(ValueError, match="mixed, line 2 is not utf-8"):
        next(read)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "no-such"])
def test_an_encoding_in_which_lines_cannot_be_told_is_refused_when_the_job_is_defined(encoding: str) -> None:
    with pytest.raises(BadOptions, match="encoding="):
        lines_of(lambda path: path, encoding=encoding)
    with pytest.raises(BadOptions, match="encoding="):
        csv_rows_of(lambda path: path, encoding=encoding)


def test_what_is_no_file_is_refused() -> None:
    with pytest.raises(BadOptions, match="give a path, or a file of Django's"):
        next(lines(7, None))  # type: ignore[arg-type]


def test_files_of_storages_are_read_and_closed(tmp_path: Path) -> None:
    storage = FileSystemStorage(location=tmp_path)
    storage.save("stock.csv", ContentFile(STOCK.encode()))
    file = storage.open("stock.csv")
    assert [row["sku"] for _, row in csv_rows(file, None, delimiter=";")] == ["A-1", "B-2", "C-3"]
    assert file.closed


def test_a_file_in_memory_will_do() -> None:
    assert [line for _, line in lines(ContentFile(b"one\ntwo\n", name="notes"), None)] == ["one", "two"]


def test_a_walk_that_is_given_up_closes_its_file(stock: Path) -> None:
    walk = lines(stock, None)
    next(walk)
    walk.close()  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_a_job_goes_through_a_file_and_reports_bytes(
    stock: Path, make_job: Callable[..., Job[..., Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_count, "_QUIET_SECONDS", -1.0)
    seen: list[str] = []
    fails = [True]

    def import_row(row: dict[str, str], path: str) -> None:
        seen.append(row["sku"])
        if row["sku"] == "C-3" and fails:
            fails.pop()
            raise RuntimeError("not now")

    run = make_job(import_row, iterates=csv_rows_of(lambda path: path, delimiter=";"), retry=3).enqueue(str(stock))
    work_off()
    half = progress.of(run.row())
    assert half is not None
    assert (half.done, half.total, half.unit, half.message) == (61, 82, "bytes", "2 items")
    drain(due=True)
    assert seen == ["A-1", "B-2", "C-3", "C-3"]
    assert (run.state, str(progress.of(run.row()))) == ("succeeded", "82 of 82 bytes (100 %)")


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_file_was_replaced_wants_a_person(stock: Path, make_job: Callable[..., Job[..., Any]]) -> None:
    def import_row(row: dict[str, str], path: str) -> None:
        if row["sku"] == "B-2":
            stock.write_text("sku;count\nZ-9;1\n")
            raise RuntimeError("not now")

    run = make_job(import_row, iterates=csv_rows_of(lambda path: path, delimiter=";"), retry=9).enqueue(str(stock))
    drain(due=True)
    assert (run.state, run.row().attempts) == ("dead", 2)
    assert "is not the file that this run began with" in run.row().error_message

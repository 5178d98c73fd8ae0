"""Stock files: what a line may say, each line once, whoever dies, and the pages about them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.models import JobRun
from jobs.testing import drain
from orders import stock_files, stock_lines
from orders.jobs import import_stock
from orders.models import BadLine, Product, StockFile
from orders.stock_lines import BadHeader, Columns, Delivery, Problem
from tests.orders.making import a_product

COMMAS = Columns(",", 0, 1)


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


@pytest.fixture
def keeper(db: None) -> Client:
    """Somebody who may take stock files in."""
    user = User.objects.create_user("kim", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="import_stock"))
    client = Client()
    client.force_login(user)
    return client


def a_file(*lines: str, header: str = "sku,quantity", name: str = "came.csv") -> StockFile:
    upload = SimpleUploadedFile(name, "\n".join([header, *lines]).encode())
    return stock_files.accept(upload, username="kim", on_accepted=lambda pk: None)


def take_all_in(kept: StockFile) -> StockFile:
    for chunk in stock_files.chunks(kept.pk):
        stock_files.take_in(kept.pk, chunk)
    kept.refresh_from_db()
    return kept


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"sku,quantity\n", Columns(",", 0, 1)),
        ("\N{ZERO WIDTH NO-BREAK SPACE}Quantity;Name;SKU\r\n".encode(), Columns(";", 2, 0)),
        (b'"sku"\t"quantity"', Columns("\t", 0, 1)),
    ],
)
def test_a_header_names_the_columns_in_any_order(header: bytes, found: Columns) -> None:
    assert stock_lines.columns(header) == found


@pytest.mark.parametrize("header", [b"", b"sku\n", b"sku,sku,quantity", b"\xff\xfe", b"a,b\n", b"sku quantity"])
def test_a_header_without_the_columns_is_refused(header: bytes) -> None:
    with pytest.raises(BadHeader, match="first line must name"):
        stock_lines.columns(header)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"JS-1", "It has 1 of the columns"),
        (b",7", "names no SKU"),
        (b"JS-1,", "no whole number"),
        (b"JS-1,-7", "no whole number"),
        (b"JS-1,1.5", "no whole number"),
        ("JS-1,\N{ARABIC-INDIC DIGIT SEVEN}".encode(), "no whole number"),
        (b"JS-1," + b"9" * 400, "no whole number"),
        (b"JS-1,0", "from 1 to"),
        (b"JS-1,100001", "from 1 to"),
        (b"\xff,7", "not UTF-8"),
        (b"JS\0,7", "not UTF-8"),
        (b"x" * 1001, "longer than"),
    ],
)
def test_a_line_that_makes_no_sense_says_why(line: bytes, words: str) -> None:
    told = stock_lines.read(line, COMMAS)
    assert isinstance(told, Problem)
    assert words in told.words


@given(st.binary(max_size=60))
@hypothesis_settings(max_examples=100)
def test_no_line_is_too_strange_to_be_told(line: bytes) -> None:
    told = stock_lines.read(line, COMMAS)
    assert told is None or isinstance(told, Delivery | Problem)
    assert stock_lines.shown(line).isprintable()


@pytest.mark.django_db
def test_bad_lines_are_kept_with_their_numbers_and_hold_up_nothing() -> None:
    hammer = a_product(stock=1)
    kept = take_all_in(a_file("T-claw-hammer,5", "nonsense", "", "T-nothing,3", "T-claw-hammer,2"))
    hammer.refresh_from_db()
    assert hammer.stock == 8
    assert (kept.lines, kept.good, kept.bad, kept.pieces) == (6, 2, 2, 7)
    assert list(kept.bad_lines.values_list("number", "text")) == [(3, "nonsense"), (5, "T-nothing,3")]
    assert kept.finished_at is not None


@pytest.mark.django_db
def test_a_chunk_that_was_taken_in_is_not_taken_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_files, "CHUNK_LINES", 2)
    hammer = a_product(stock=0)
    kept = a_file(*["T-claw-hammer,1"] * 5)
    first = next(stock_files.chunks(kept.pk))
    assert stock_files.take_in(kept.pk, first) is not None
    assert stock_files.take_in(kept.pk, first) is None
    take_all_in(kept)
    hammer.refresh_from_db()
    assert hammer.stock == 5


@pytest.mark.django_db
def test_a_failure_in_mid_file_is_gone_on_from_without_repeating_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_files, "CHUNK_LINES", 2)
    hammer = a_product(stock=0)
    kept = a_file(*["T-claw-hammer,1"] * 7)
    import_stock.enqueue(kept.pk)
    really = stock_files.take_in
    turns = iter([True, False])

    def dying(stock_file_id: int, chunk: stock_files.Chunk) -> StockFile | None:
        done = really(stock_file_id, chunk)
        if not next(turns, True):
            raise OSError("cut off after the commit")
        return done

    monkeypatch.setattr(stock_files, "take_in", dying)
    assert drain().counts == {"retry": 1}
    drain(due=True)
    hammer.refresh_from_db()
    kept.refresh_from_db()
    assert (hammer.stock, kept.good, kept.position) == (7, 7, kept.size)
    assert JobRun.objects.get().state == "succeeded"


@pytest.mark.django_db
def test_a_file_of_nothing_but_its_first_line_is_done(db: None) -> None:
    assert take_all_in(a_file()).finished_at is not None


@pytest.mark.django_db
def test_a_line_that_never_ends_is_one_bad_line(monkeypatch: pytest.MonkeyPatch) -> None:
    a_product()
    kept = take_all_in(a_file("x" * 50_000, "T-claw-hammer,1"))
    assert (kept.bad, kept.good) == (1, 1)
    assert len(BadLine.objects.get().text) <= 200


@pytest.mark.django_db
def test_of_a_file_of_another_kind_only_the_first_bad_lines_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_files, "MOST_BAD_LINES_KEPT", 3)
    kept = take_all_in(a_file(*["?"] * 10))
    assert (kept.bad, kept.bad_lines.count()) == (10, 3)


@pytest.mark.django_db
def test_stock_never_grows_beyond_what_a_column_can_hold() -> None:
    hammer = a_product(stock=2**31 - 2)
    kept = take_all_in(a_file("T-claw-hammer,1", "T-claw-hammer,1"))
    hammer.refresh_from_db()
    assert (hammer.stock, kept.bad) == (2**31 - 1, 1)


def test_an_uploaded_file_is_taken_in_and_shown(keeper: Client) -> None:
    hammer = a_product(stock=0)
    upload = SimpleUploadedFile("week 17.csv", b"sku;quantity\nT-claw-hammer;5\n<b>;1\n")
    page = keeper.post("/staff/stock-files/", {"file": upload}, follow=True)
    assert "Being taken in" in page.content.decode()
    drain()
    shown = keeper.get(f"{page.request['PATH_INFO']}progress/").content.decode()
    assert "Taken in" in shown
    assert "&lt;b&gt;;1" in shown
    hammer.refresh_from_db()
    assert hammer.stock == 5


def test_a_file_without_the_columns_comes_back_with_the_cure(keeper: Client) -> None:
    page = keeper.post("/staff/stock-files/", {"file": SimpleUploadedFile("x.csv", b"a,b\n1,2\n")})
    assert page.status_code == 400
    assert "must name the columns" in page.content.decode()
    assert not StockFile.objects.exists()


def test_only_who_may_takes_files_in_and_all_staff_may_look(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("olga", is_staff=True))
    assert "may not take stock files in" in client.get("/staff/stock-files/").content.decode()
    upload = SimpleUploadedFile("x.csv", b"sku,quantity\n")
    assert client.post("/staff/stock-files/", {"file": upload}).status_code == 403
    assert not StockFile.objects.exists()


@pytest.mark.django_db
def test_files_of_a_month_ago_are_thrown_away_with_their_bad_lines(media: Path) -> None:
    a_product()
    kept = take_all_in(a_file("?"))
    assert stock_files.throw_away_old(timezone.now()) == 0
    assert stock_files.throw_away_old(timezone.now() + timedelta(days=31)) == 1
    kept.refresh_from_db()
    assert not kept.file
    assert (kept.bad, kept.bad_lines.count(), list(media.rglob("*.csv"))) == (1, 0, [])
    assert Product.objects.count() == 1

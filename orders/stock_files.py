"""Files of goods that came: each line put on the shelf once, whoever dies in between.

1. `accept` keeps the file and where its first line ends.
2. `chunks` reads on from `position`, so many lines at a time.
3. `take_in` adds a chunk's goods and moves `position` in one transaction. A chunk that stands before it was taken in.

So a line is never added twice, and which ones were is not the queue's to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from orders import stock_lines
from orders.models import BadLine, Product, StockFile
from orders.stock_lines import Columns, Delivery, Problem

Tell = Callable[[int], object]
CHUNK_LINES = 500
LARGEST_FILE = 100 * 1024 * 1024
KEEP_FILES = timedelta(days=30)
# A file of another kind has a problem in every line, and nobody reads so many.
MOST_BAD_LINES_KEPT = 1000
_MOST_STOCK = 2**31 - 1
# What is read of a line that does not end; the rest of it is passed by.
_READ = stock_lines.LONGEST_LINE + 1


@dataclass(frozen=True)
class Chunk:
    """Lines from `start` to `end` of a file of `size`, in bytes, the first of them being line `number`."""

    start: int
    end: int
    size: int
    number: int
    lines: list[bytes]


def accept(upload: UploadedFile, *, username: str, on_accepted: Tell) -> StockFile:
    """Keep an uploaded file, and tell `on_accepted(stock_file_id)` in the transaction that does.

    Raises `stock_lines.BadHeader`, and keeps nothing then.
    """
    assert upload.file is not None
    upload.seek(0)
    header = upload.readline(_READ)
    stock_lines.columns(header)
    upload.seek(0)
    name = (upload.name or "stock.csv")[-150:]
    with transaction.atomic():
        kept = StockFile(name=name, uploaded_by=username, size=upload.size or 0, position=len(header), lines=1)
        kept.file.save("stock.csv", upload, save=True)
        on_accepted(kept.pk)
    return kept


def chunks(stock_file_id: int) -> Iterator[Chunk]:
    """What is left of a file, so many lines at a time. The last one is where the file ends, and may be empty."""
    kept = StockFile.objects.filter(pk=stock_file_id, finished_at__isnull=True).exclude(file="").first()
    if kept is None:
        return
    start, number = kept.position, kept.lines + 1
    with kept.file.open() as file:
        file.seek(start)
        while start < kept.size:
            lines, end = _read(file, start)
            # Shorter than it was: what is left of it is all there is.
            end = end if lines else kept.size
            yield Chunk(start, end, kept.size, number, lines)
            start, number = end, number + len(lines)
    if kept.position == kept.size:
        yield Chunk(start, start, start, number, [])


@transaction.atomic
def take_in(stock_file_id: int, chunk: Chunk) -> StockFile | None:
    """Put a chunk's goods on the shelf, note its bad lines, and move on, all in one. None when that was done."""
    kept = StockFile.objects.select_for_update().filter(pk=stock_file_id, finished_at__isnull=True).first()
    if kept is None or kept.position != chunk.start:
        return None
    shelf = _Shelf(chunk, _columns(kept))
    shelf.put()
    _note(kept, shelf.problems)
    kept.position = chunk.end
    kept.lines += len(chunk.lines)
    kept.good += shelf.good
    kept.bad += len(shelf.problems)
    kept.pieces += shelf.pieces
    kept.finished_at = timezone.now() if chunk.end >= kept.size else None
    kept.save(update_fields=["position", "lines", "good", "bad", "pieces", "finished_at"])
    return kept


def throw_away_old(now: datetime) -> int:
    """Delete files that were taken in a month ago, and their bad lines. What came of them stays. Returns how many."""
    old = StockFile.objects.filter(finished_at__lt=now - KEEP_FILES).exclude(file="")
    count = 0
    for kept in old.iterator():
        kept.file.storage.delete(str(kept.file.name))
        with transaction.atomic():
            kept.bad_lines.all().delete()
            StockFile.objects.filter(pk=kept.pk).update(file="")
        count += 1
    return count


class _Shelf:
    """The products that a chunk is about, locked, and what its lines do to them."""

    def __init__(self, chunk: Chunk, known: Columns) -> None:
        self.problems: list[tuple[int, bytes, str]] = []
        self.good = self.pieces = 0
        self._told = [
            (number, line, stock_lines.read(line, known)) for number, line in enumerate(chunk.lines, chunk.number)
        ]
        skus = {told.sku for _, _, told in self._told if isinstance(told, Delivery)}
        # In the order of ids, as everyone locks them.
        locked = Product.objects.select_for_update().order_by("pk").filter(sku__in=skus)
        self._products = {product.sku: product for product in locked}

    def put(self) -> None:
        before = {sku: product.stock for sku, product in self._products.items()}
        for number, line, told in self._told:
            problem = told.words if isinstance(told, Problem) else self._add(told) if told else ""
            if problem:
                self.problems.append((number, line, problem))
        changed = [product for sku, product in self._products.items() if product.stock != before[sku]]
        Product.objects.bulk_update(changed, ["stock"], batch_size=200)

    def _add(self, delivery: Delivery) -> str:
        """Returns why that cannot be."""
        product = self._products.get(delivery.sku)
        if product is None:
            return f'We sell nothing with the SKU "{delivery.sku[:20]}".'
        if product.stock + delivery.quantity > _MOST_STOCK:
            return "There would be more of it than we can count."
        product.stock += delivery.quantity
        self.good += 1
        self.pieces += delivery.quantity
        return ""


def _read(file: IO[bytes], start: int) -> tuple[list[bytes], int]:
    """The next lines, and where they end. A line that is far too long is read in pieces, and kept in part."""
    lines: list[bytes] = []
    while len(lines) < CHUNK_LINES and (line := file.readline(_READ)):
        start += len(line)
        lines.append(line)
        while not line.endswith(b"\n") and (line := file.readline(_READ)):
            start += len(line)
    return lines, start


def _columns(kept: StockFile) -> Columns:
    with kept.file.open() as file:
        return stock_lines.columns(file.readline(_READ))


def _note(kept: StockFile, problems: list[tuple[int, bytes, str]]) -> None:
    room = max(0, MOST_BAD_LINES_KEPT - kept.bad)
    BadLine.objects.bulk_create(
        BadLine(stock_file=kept, number=number, text=stock_lines.shown(line), problem=words)
        for number, line, words in problems[:room]
    )

"""Lines and CSV rows of a file. The cursor is the byte behind the latest one, and marks of the file.

1. The file is marked by its length and its first bytes, and each place in it by the bytes before.
2. Who goes on compares these marks. A file that was replaced, cut or added to is refused, not gone through half.
"""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, BinaryIO, cast

from django.core.files import File

from jobs.errors import BadOptions, SourceChanged
from jobs.iterators.over import Over

# A path, or what Django's storages and file fields give.
Source = str | os.PathLike[str] | File

_HEAD_BYTES = 65_536
_BEFORE_BYTES = 256
_BOM = codecs.BOM_UTF8


class CsvRow(dict[str, Any]):
    """A row by the names of its columns, as `csv.DictReader` has it; `line` is where in the file it ends."""

    def __init__(self, columns: Sequence[str], values: Sequence[str], line: int) -> None:
        super().__init__(zip(columns, values, strict=False))
        self.update(dict.fromkeys(columns[len(values) :]))
        if len(values) > len(columns):
            self[None] = list(values[len(columns) :])  # type: ignore[index]
        self.line = line


def lines(source: Source, cursor: Any, *, encoding: str = "utf-8") -> Iterator[tuple[list[Any], str]]:
    """Pairs of cursor and line, without its end, from behind `cursor` on.

    `source` is a path, or what a storage or a file field gives. Raises `SourceChanged` where it is not the file that
    the cursor was made in, and `ValueError` for a line that is not in this encoding.
    """
    _check_encoding(encoding)
    with _opened(source) as file:
        reader = _Reader(file, encoding, name=_name_of(source))
        reader.go_to(cursor)
        for line in reader:
            yield reader.cursor, line.removesuffix("\n").removesuffix("\r")


def csv_rows(
    source: Source,
    cursor: Any,
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    quotechar: str = '"',
    columns: Sequence[str] | None = None,
) -> Iterator[tuple[list[Any], CsvRow]]:
    """Pairs of cursor and row, from behind `cursor` on, as `lines`. The first row names the columns, unless `columns`
    does. Rows may go over several lines; empty ones are passed by.
    """
    _check_encoding(encoding)
    with _opened(source) as file:
        reader = _Reader(file, encoding, name=_name_of(source))
        words: dict[str, Any] = {"delimiter": delimiter, "quotechar": quotechar}
        names = list(columns) if columns is not None else next(csv.reader(reader, **words), [])
        reader.go_to(cursor)
        for values in csv.reader(reader, **words):
            if values:
                yield reader.cursor, CsvRow(names, values, reader.line)


def lines_of(of: Callable[..., Source], *, encoding: str = "utf-8") -> Over[str]:
    """For `iterates=`: the lines of the file that `of` gives for the job's arguments. See `lines`.

    @job(iterates=lines_of(lambda name: default_storage.open(name)))
    def read_log(line, name): ...
    """
    _check_encoding(encoding)
    return Over(of, lambda source, cursor: lines(source, cursor, encoding=encoding), name="lines_of", measure=_measure)


def csv_rows_of(
    of: Callable[..., Source],
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    quotechar: str = '"',
    columns: Sequence[str] | None = None,
) -> Over[CsvRow]:
    """For `iterates=`: the rows of the CSV file that `of` gives for the job's arguments. See `csv_rows`.

    @job(iterates=csv_rows_of(lambda upload_id: Upload.objects.get(pk=upload_id).file))
    def import_row(row, upload_id): ...
    """
    _check_encoding(encoding)
    words: dict[str, Any] = {"delimiter": delimiter, "quotechar": quotechar, "columns": columns, "encoding": encoding}
    return Over(of, lambda source, cursor: csv_rows(source, cursor, **words), name="csv_rows_of", measure=_measure)


class _Reader:
    """The lines of a file, and how many bytes and lines were read."""

    def __init__(self, file: BinaryIO, encoding: str, *, name: str) -> None:
        self._file = file
        self._encoding = encoding
        self._name = name
        self._mark = self._mark_of_file()
        self.line = self._offset = 0
        self._before = b""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        text = self._decoded(line.removeprefix(_BOM) if not self._offset else line)
        self.line += 1
        self._offset += len(line)
        self._before = (self._before + line)[-_BEFORE_BYTES:]
        return text

    @property
    def cursor(self) -> list[Any]:
        """Where the next line begins."""
        return [self._offset, self.line, self._mark, _digest(self._before)]

    def go_to(self, cursor: Any) -> None:
        """Read on from there; from where it is, when that is None. Raises `SourceChanged`."""
        if cursor is None:
            return
        offset, line, mark, digest = cursor
        if mark != self._mark:
            now, before = _size(self._mark), _size(mark)
            self._refuse(f"it has {now:,} bytes, and had {before:,}" if now != before else "it begins with other bytes")
        self._file.seek(max(0, offset - _BEFORE_BYTES))
        self._before = self._file.read(min(offset, _BEFORE_BYTES))
        if _digest(self._before) != digest:
            self._refuse(f"other bytes stand before byte {offset:,}")
        self._offset, self.line = offset, line

    def _refuse(self, why: str) -> None:
        raise SourceChanged(
            f"{self._name} is not the file that this run began with: {why}. "
            "Put that file back and retry the run, or enqueue a new one for this file."
        )

    def _decoded(self, line: bytes) -> str:
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise ValueError(f"{self._name}, line {self.line + 1} is not {self._encoding}: {error}") from error

    def _mark_of_file(self) -> str:
        head = self._file.read(_HEAD_BYTES)
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        return f"{size}-{_digest(head)}"


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, File):
        with source.open("rb") as file:
            yield cast(BinaryIO, file.file)
    elif isinstance(source, str | os.PathLike):
        with open(source, "rb") as plain:
            yield plain
    else:
        raise BadOptions(f"{source!r:.100}: give a path, or a file of Django's, such as default_storage.open(name)")


def _measure(cursor: Any) -> tuple[float, float, str]:
    return cursor[0], _size(cursor[2]), "bytes"


def _size(mark: str) -> int:
    return int(mark.partition("-")[0])


def _digest(part: bytes) -> str:
    return blake2b(part, digest_size=8).hexdigest()


def _name_of(source: Source) -> str:
    return str(getattr(source, "name", source))


def _check_encoding(encoding: str) -> None:
    try:
        is_fit = "\n".encode(encoding) == b"\n"
    except LookupError as error:
        raise BadOptions(f'encoding="{encoding}": Python knows no such encoding') from error
    if not is_fit:
        raise BadOptions(f'encoding="{encoding}": lines cannot be told in it by their bytes; convert the file to UTF-8')

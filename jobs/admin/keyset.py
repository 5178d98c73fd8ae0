"""Pages of a list by the key of its rows: no OFFSET, no COUNT, the same price on the first page and the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import IntegerField, Model, QuerySet, Subquery

Row = TypeVar("Row", bound=Model)

PAGE_SIZE = 50
# Counting further costs more than it tells: the page then reads "10,000+".
COUNT_CAP = 10_000
# What no index serves is looked for among so many of the latest rows, which takes well under a second.
WINDOW = 100_000


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Up to `PAGE_SIZE` rows, newest first, and the keys that the links to its neighbours carry."""

    rows: list[Row]
    older: Any = None
    newer: Any = None


@dataclass(frozen=True)
class Counted:
    """How many rows of a kind there are. Where there are `more`, counting stopped at `count`."""

    name: str
    count: int
    more: bool


def page_asked(queryset: QuerySet[Row], query: Mapping[str, str], *, convert: Callable[[str], Any] = int) -> Page[Row]:
    """The page that a query string asks for; `convert` reads a row's key."""
    keys = {name: key_or_none(query.get(name), convert) for name in ("older", "newer")}
    return page_of(queryset, **keys)


def page_of(queryset: QuerySet[Row], *, older: Any = None, newer: Any = None) -> Page[Row]:
    """The rows just older than key `older`, or just newer than key `newer`, or the newest ones."""
    if newer is not None:
        return _page_after(queryset, newer)
    if older is not None:
        queryset = queryset.filter(pk__lt=older)
    rows = list(queryset.order_by("-pk")[: PAGE_SIZE + 1])
    shown = rows[:PAGE_SIZE]
    return Page(
        rows=shown,
        older=shown[-1].pk if len(rows) > PAGE_SIZE else None,
        newer=shown[0].pk if shown and older is not None else None,
    )


def _page_after(queryset: QuerySet[Row], newer: Any) -> Page[Row]:
    rows = list(queryset.filter(pk__gt=newer).order_by("pk")[: PAGE_SIZE + 1])
    if len(rows) <= PAGE_SIZE:
        # The newest page is shown full, not with the few rows that are newer than the last one seen.
        return page_of(queryset)
    shown = rows[:PAGE_SIZE][::-1]
    return Page(rows=shown, older=shown[-1].pk, newer=shown[0].pk)


def key_or_none(text: str | None, convert: Callable[[str], Any]) -> Any:
    """The key that a URL carries, or None when it is missing or was tampered with."""
    try:
        key = convert(text) if text else None
    except ValueError:
        return None
    # No row's key is longer than 64 bits, and SQLite's driver refuses to look for one that is.
    return None if isinstance(key, int) and abs(key) >= 2**63 else key


def window_start(queryset: QuerySet[Any], *, size: int | None = None) -> Any:
    """The key of the oldest of the latest `WINDOW` rows, or of `size`, or None when there are not so many."""
    most = WINDOW if size is None else size
    # An offset into the primary key alone, of a fixed size: the price does not grow with the table.
    return next(iter(queryset.order_by("-pk").values_list("pk", flat=True)[most - 1 : most]), None)


class CappedCount(Subquery):
    """How many rows a queryset has, counted no further than one past `COUNT_CAP`."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) capped)"
    output_field = IntegerField()
    empty_result_set_value = 0

    def __init__(self, queryset: QuerySet[Any], **extra: Any) -> None:
        super().__init__(queryset.order_by().values("pk")[: COUNT_CAP + 1], **extra)


def capped_counts(querysets: dict[str, QuerySet[Any]], *, on: QuerySet[Any]) -> dict[str, int]:
    """Each queryset's capped count, all in one query; `on` is any queryset with a row to hang them on."""
    counts = {f"count_{number}": CappedCount(each) for number, each in enumerate(querysets.values())}
    row = on.order_by("-pk").values_list(*counts.values())[:1]
    found = next(iter(row), [0] * len(counts))
    return dict(zip(querysets, found, strict=True))


def counted(querysets: Mapping[str, QuerySet[Any]], *, on: QuerySet[Any]) -> list[Counted]:
    """The same, each with its name, as a page shows it."""
    counts = capped_counts(dict(querysets), on=on)
    return [Counted(name, min(count, COUNT_CAP), count > COUNT_CAP) for name, count in counts.items()]

"""Rows of a queryset, page by page, in an order that a cursor can enter anywhere. The cursor is the row's place in it.

No page is found by counting what stands before it, so the last one costs as little as the first; and none is a cursor
of the database, which would not outlive a transaction, a pooler or the process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, ForeignKey, Model, Q, QuerySet

from jobs.errors import BadOptions, SourceChanged
from jobs.iterators.over import Over

M = TypeVar("M", bound=Model)

_PAGE = 500
# An item is no older than this when its turn comes: of a page that takes longer, the rest is read again.
_FRESH_SECONDS = 10.0


class _Column(NamedTuple):
    field: Field[Any, Any]
    descends: bool


def rows(queryset: QuerySet[M], cursor: Any, *, page: int = _PAGE) -> Iterator[tuple[list[Any], M]]:
    """Pairs of cursor and row, from behind `cursor` on, in the queryset's order: by primary key where it has none.

    It reads `page` rows at a time, and keeps no more in memory. The order may be of any columns of the model's own, up
    and down, that are never NULL and tell any two rows apart. Raises `BadOptions`.
    """
    _check_size("page", page)
    columns = _columns_of(queryset)
    key = cursor
    while True:
        found, read_at = _page(queryset, columns, key, page), time.monotonic()
        for row in found:
            here = _key(row, columns)
            # A join may give a row more than once.
            if here == key:
                continue
            key = here
            yield key, row
            if time.monotonic() - read_at > _FRESH_SECONDS:
                break
        else:
            if len(found) < page:
                return


def chunks(queryset: QuerySet[M], cursor: Any, *, size: int = 100) -> Iterator[tuple[list[Any], list[M]]]:
    """The same in lists of `size` rows: an item is such a list, and its cursor that of its last row."""
    _check_size("size", size)
    columns = _columns_of(queryset)
    key = cursor
    while found := _page(queryset, columns, key, size):
        key = _key(found[-1], columns)
        yield key, found
        if len(found) < size:
            return


def queryset_of(of: Callable[..., QuerySet[M]], *, page: int = _PAGE) -> Over[M]:
    """For `iterates=`: the rows of the queryset that `of` gives for the job's arguments. See `rows`.

    @job(iterates=queryset_of(lambda issue_id: Subscriber.objects.filter(active=True)))
    def send_newsletter(subscriber, issue_id): ...
    """
    _check_size("page", page)
    return Over(of, lambda queryset, cursor: rows(queryset, cursor, page=page), name="queryset_of", count=_count)


def chunks_of(of: Callable[..., QuerySet[M]], *, size: int = 100) -> Over[list[M]]:
    """For `iterates=`: the same in lists of `size` rows."""
    _check_size("size", size)
    return Over(
        of,
        lambda queryset, cursor: chunks(queryset, cursor, size=size),
        name="chunks_of",
        count=lambda queryset: math.ceil(_count(queryset) / size),
        unit="chunks",
    )


def _count(queryset: QuerySet[Any]) -> int:
    return queryset.order_by().count()


def _page(queryset: QuerySet[M], columns: list[_Column], key: Any, size: int) -> list[M]:
    asked = queryset.order_by(*[f"{'-' if one.descends else ''}{one.field.attname}" for one in columns])
    if not asked.query.standard_ordering:
        # The columns say already that it was turned.
        asked = asked.reverse()
    found = list((asked if key is None else asked.filter(_behind(columns, _values(columns, key))))[:size])
    if found and not isinstance(found[0], Model):
        raise BadOptions(
            f"The queryset gives {type(found[0]).__name__}s, in which a cursor finds nothing: "
            "use only(…) in the place of values(…)."
        )
    return found


def _behind(columns: list[_Column], values: list[Any]) -> Q:
    """What follows a row: the first column in which they differ decides."""
    found = Q()
    for at, (field, descends) in enumerate(columns):
        same = {one.field.attname: value for one, value in zip(columns[:at], values, strict=False)}
        found |= Q(**same, **{f"{field.attname}__{'lt' if descends else 'gt'}": values[at]})
    if len(columns) > 1:
        # Says nothing new, and lets an index begin where the page does.
        first = columns[0]
        found &= Q(**{f"{first.field.attname}__{'lte' if first.descends else 'gte'}": values[0]})
    return found


def _key(row: Model, columns: list[_Column]) -> list[Any]:
    return [_as_json(row, one.field) for one in columns]


def _as_json(row: Model, field: Field[Any, Any]) -> Any:
    value = getattr(row, field.attname)
    return value if type(value) in (int, str, float) else field.value_to_string(row)


def _values(columns: list[_Column], key: Any) -> list[Any]:
    if not isinstance(key, list) or len(key) != len(columns):
        raise SourceChanged(
            f"The cursor {key!r:.100} is not of this queryset: its order has changed since the run began. "
            "Order it as it was and retry the run, or enqueue a new one."
        )
    return [one.field.to_python(value) for one, value in zip(columns, key, strict=True)]


def _columns_of(queryset: QuerySet[M]) -> list[_Column]:
    """The order of a queryset. Raises `BadOptions` where no cursor could enter it."""
    if not isinstance(queryset, QuerySet):
        cure = "add .all()" if hasattr(queryset, "all") else "give a queryset"
        raise BadOptions(f"{queryset!r:.100} is no queryset; {cure}")
    query, model = queryset.query, queryset.model
    if query.is_sliced or query.combinator:
        raise BadOptions(
            f"A queryset of {model.__name__} that is sliced or combined cannot be entered in its middle; use filter(…)"
        )
    order, turned = (*query.extra_order_by, *query.order_by), not query.standard_ordering
    if not order:
        return [_Column(field, descends=turned) for field in _pk_fields(model)]
    columns = [_column(given, model, turned=turned) for given in order]
    if not _tells_apart(model, {one.field.name for one in columns}):
        names = ", ".join(repr(one) for one in order)
        raise BadOptions(
            f"Two rows of {model.__name__} may be equal in order_by({names}), and a stop between them would lose one: "
            f'add "pk", as in order_by({names}, "pk").'
        )
    return columns


def _column(given: object, model: type[Model], *, turned: bool) -> _Column:
    name = given.removeprefix("-") if isinstance(given, str) else ""
    try:
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    is_own = isinstance(field, Field) and field.column is not None
    if not is_own or (isinstance(field, ForeignKey) and name not in ("pk", field.attname)):
        cure = field.attname if isinstance(field, ForeignKey) else "pk"
        raise BadOptions(
            f"order_by({given!r:.100}): a cursor can enter an order of {model.__name__}'s own columns alone, given by "
            f'their names; order by "{cure}"'
        )
    assert isinstance(field, Field)
    if field.null:
        raise BadOptions(
            f'order_by("{given}"): {field.name} may be NULL, which is neither before nor behind anything, so such rows '
            'would be passed by; order by another column, or by "pk"'
        )
    return _Column(field, descends=str(given).startswith("-") != turned)


def _tells_apart(model: type[Model], names: set[str]) -> bool:
    """Whether no two rows are equal in these fields."""
    meta = model._meta
    unique = [{field.name} for field in meta.concrete_fields if field.unique]
    unique += [{field.name for field in _pk_fields(model)}]
    unique += [set(constraint.fields) for constraint in meta.total_unique_constraints]
    unique += [set(together) for together in meta.unique_together]
    return any(one and one <= names for one in unique)


def _pk_fields(model: type[Model]) -> list[Field[Any, Any]]:
    return list(model._meta.pk_fields)


def _check_size(option: str, size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise BadOptions(f"{option}={size!r}: pass a whole number from 1")

"""Exports of orders: cut into slices, written part by part, built into one file, fetched by a link, thrown away.

1. `ask` keeps what is wanted. `cut` gives the slices: from which order to which, so many each.
2. `write_part` writes the lines of one slice into a row, once. Parts come in any order.
3. `build` puts the parts into one file, once, and the link to it is mailed.
4. `throw_away_old` deletes the file after a week; the row stays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import IO, Any

from django.core import signing
from django.core.files import File
from django.core.files.storage import Storage
from django.db import models, transaction
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from jobs.locks import lock
from orders import export_rows
from orders.models import Export, ExportPart, Order

Tell = Callable[[int], object]
# A slice: the export, its position, and the orders from which to which it has.
Slice = tuple[int, int, int, int]
SLICE_ROWS = 100
KEEP_FILES = timedelta(days=7)
LINK_LIFE = timedelta(days=3)
SALT = "orders.export"
# Excel takes a file without it for one of its own old encodings.
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


@transaction.atomic
def ask(first_day: date, last_day: date, *, username: str, email: str, on_asked: Tell) -> Export:
    """Keep what is wanted, and tell `on_asked(export_id)` in the same transaction."""
    export = Export.objects.create(first_day=first_day, last_day=last_day, asked_by=username, email=email)
    on_asked(export.pk)
    return export


@transaction.atomic
def cut(export_id: int, *, on_cut: Callable[[Iterator[Slice]], object]) -> None:
    """Give `on_cut` the slices, and keep how many there are, in one transaction. Cut already: nothing to do."""
    export = Export.objects.select_for_update().filter(pk=export_id, total__isnull=True).first()
    if export is None:
        return
    counted: list[int] = []
    on_cut(_slices(export, counted))
    Export.objects.filter(pk=export_id).update(total=sum(counted), slices=len(counted))


def write_part(export_id: int, position: int, first: int, last: int) -> int:
    """Write the lines of a slice, unless they are there. Returns how many it wrote."""
    export = Export.objects.filter(pk=export_id, built_at__isnull=True).first()
    if export is None or export.parts.filter(position=position).exists():
        return 0
    found = _orders(export).filter(pk__range=(first, last)).order_by("pk")
    rows = [export_rows.row(order) for order in found.select_related("customer").prefetch_related("lines__product")]
    part = ExportPart(export=export, position=position, rows=len(rows), text=export_rows.lines(rows))
    # Of two that write it at once, the first wins: what was counted never changes.
    ExportPart.objects.bulk_create([part], ignore_conflicts=True)
    return len(rows)


def build(export_id: int, *, on_built: Tell) -> None:
    """Put the parts into one file, once, and tell `on_built(export_id)` in the transaction that says so.

    Parts that are missing, for somebody discarded their runs, are kept as the export's problem.
    """
    with lock(f"export:{export_id}", wait=10) as held:
        export = Export.objects.filter(pk=export_id, built_at__isnull=True).first()
        if export is None or export.total is None:
            return
        missing = export.slices - export.parts.count()
        if missing:
            note_problem(export_id, f"{missing} of {export.slices} parts are missing. Ask for the export again.")
            return
        with tempfile.TemporaryFile() as file:
            _write(export, file)
            held.check()
            _keep(export, file, on_built)


def note_problem(export_id: int, problem: str) -> None:
    """Keep why there is no file yet."""
    Export.objects.filter(pk=export_id, built_at__isnull=True).update(problem=problem[:200])


def with_rows_done() -> models.QuerySet[Any]:
    """Exports with `rows_done`, which only grows. One statement reads both, so no page sees parts that have just
    become the file."""
    parts = ExportPart.objects.filter(export=OuterRef("pk")).order_by().values("export")
    written = Subquery(parts.annotate(sum=Sum("rows")).values("sum"))
    total = models.Case(models.When(built_at__isnull=False, then=models.F("total")))
    return Export.objects.annotate(rows_done=Coalesce(total, written, 0))


def token(export: Export) -> str:
    """What a link to the file carries. It is of use for three days, to those who may export."""
    return signing.dumps(export.pk, salt=SALT)


def opens(export: Export, token: str) -> bool:
    """Whether the token is of this export, and not too old."""
    try:
        return bool(signing.loads(token, salt=SALT, max_age=LINK_LIFE) == export.pk)
    except signing.BadSignature:
        return False


def throw_away_old(now: datetime) -> int:
    """Delete the files of a week ago, and the parts of what was never built. Returns how many."""
    old = Export.objects.filter(asked_at__lt=now - KEEP_FILES, thrown_away_at__isnull=True)
    count = 0
    for export in old.iterator():
        if export.file:
            export.file.storage.delete(str(export.file.name))
        with transaction.atomic():
            export.parts.all().delete()
            Export.objects.filter(pk=export.pk).update(file="", thrown_away_at=now)
        count += 1
    return count


def _orders(export: Export) -> models.QuerySet[Order]:
    """The orders that were placed in the export's days."""
    zone = timezone.get_default_timezone()
    first = datetime.combine(export.first_day, time.min, zone)
    until = datetime.combine(export.last_day + timedelta(days=1), time.min, zone)
    return Order.objects.filter(placed_at__gte=first, placed_at__lt=until)


def _slices(export: Export, counted: list[int]) -> Iterator[Slice]:
    """Each of the next so many orders by their keys; how many that are is added to `counted`."""
    keys = _orders(export).order_by("pk").values_list("pk", flat=True).iterator()
    for position, group in enumerate(_groups(keys)):
        counted.append(len(group))
        yield export.pk, position, group[0], group[-1]


def _groups(keys: Iterator[int]) -> Iterator[list[int]]:
    group: list[int] = []
    for key in keys:
        group.append(key)
        if len(group) == SLICE_ROWS:
            yield group
            group = []
    if group:
        yield group


def _write(export: Export, file: IO[bytes]) -> None:
    file.write((_MARK + export_rows.lines([export_rows.COLUMNS])).encode())
    texts = export.parts.order_by("position").values_list("text", flat=True)
    # A few parts at a time: together they may be larger than the memory.
    for text in texts.iterator(chunk_size=20):
        file.write(text.encode())
    file.seek(0)


def _keep(export: Export, file: IO[bytes], tell: Tell) -> None:
    storage: Storage = export.file.storage
    name = f"exports/orders-{export.pk}-{export.first_day}-{export.last_day}.csv"
    # An attempt that died before it said so may have left one.
    storage.delete(name)
    name = storage.save(name, File(file))
    with transaction.atomic():
        Export.objects.filter(pk=export.pk).update(file=name, built_at=timezone.now(), problem="")
        export.parts.all().delete()
        tell(export.pk)

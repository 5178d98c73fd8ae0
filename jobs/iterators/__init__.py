"""What jobs with `iterates=` go through: querysets, files, date ranges and sequences, from any cursor on.

Each comes in two forms. `queryset_of(function)` is what `iterates=` takes: the function is given the job's arguments
and says what to go through, and the progress is known. `rows(queryset, cursor)` is for an `iterates` function of your
own, and yields pairs of cursor and item.
"""

from jobs.iterators.dates import Span, days, days_of, months, months_of, weeks, weeks_of
from jobs.iterators.files import CsvRow, csv_rows, csv_rows_of, lines, lines_of
from jobs.iterators.over import Over
from jobs.iterators.querysets import chunks, chunks_of, queryset_of, rows
from jobs.iterators.sequences import items, items_of

__all__ = [
    "CsvRow",
    "Over",
    "Span",
    "chunks",
    "chunks_of",
    "csv_rows",
    "csv_rows_of",
    "days",
    "days_of",
    "items",
    "items_of",
    "lines",
    "lines_of",
    "months",
    "months_of",
    "queryset_of",
    "rows",
    "weeks",
    "weeks_of",
]

"""What a search for arguments means for the rows of runs: by their path, or anywhere. No index serves it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.db.models.fields.json import KeyTransform

from jobs.admin import search
from jobs.admin.search import Term

if TYPE_CHECKING:
    from jobs.admin.run_terms import Reading

# PostgreSQL counts the places of a JSON list in 32 bits.
_MOST_PLACES = 2**31
_SPELLED_ALIKE = re.compile(r"[A-Za-z0-9 _.@:-]+")


def by_argument(reading: Reading, term: Term) -> Q:
    """Runs whose argument at this path has one of the values."""
    reading.is_windowed = True
    keys = term.name.removeprefix("args.").split(".")
    if not all(_can_be_key(key) for key in keys):
        return Q(pk__in=[])
    # Built by hand: in a look-up's name an argument called "in" or "a__gt" would be an operator.
    place: Any = "arguments"
    for key in keys:
        place = KeyTransform(key, place)
    alias = f"argument_{len(reading.aliases)}"
    reading.aliases[alias] = place
    return any_of(term, lambda value: _is_there(alias, value))


def _is_there(alias: str, value: str) -> Q:
    condition = Q()
    for typed in search.typed_values(value):
        condition |= Q(**{alias: typed})
    # The cheap test first: most rows end here. Databases spell other texts in ways of their own.
    return Q(arguments_text__contains=value) & condition if _SPELLED_ALIKE.fullmatch(value) else condition


def by_any_argument(reading: Reading, term: Term) -> Q:
    """Runs of which any argument is one of the values."""
    reading.is_windowed = True
    return any_of(term, _has_argument)


def _has_argument(value: str) -> Q:
    renderings = search.json_renderings(value)
    condition = Q()
    for text in renderings:
        for before, after in ((": ", ","), (": ", "}"), ("[", ","), ("[", "]"), (", ", ","), (", ", "]")):
            condition |= Q(arguments_text__contains=f"{before}{text}{after}")
    # The cheap test first: most rows end here.
    return Q(arguments_text__contains=renderings[-1].strip('"')) & condition


def any_of(term: Term, condition_of: Callable[[str], Q]) -> Q:
    """One of the values is enough."""
    condition = Q()
    for value in term.values:
        condition |= condition_of(value)
    return condition


def _can_be_key(key: str) -> bool:
    """Whether a database can look for it: what reads as a number it takes for a place in a list."""
    try:
        return 0 <= int(key) < _MOST_PLACES
    except ValueError:
        return True

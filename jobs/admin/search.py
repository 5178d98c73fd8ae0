"""What an operator typed, as values. Asks no database."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from jobs.errors import did_you_mean
from jobs.policy.ages import parse_age

QUALIFIERS = ("id", "state", "queue", "job", "batch", "workflow", "schedule", "error", "worker", "arg")
# An operator's question is far shorter; a database's parser gives up at some hundred conditions.
MOST_CHARACTERS = 1000
MOST_TERMS = 20
MOST_DEPTH = 10
# Room on both sides for any time zone and any age, in what a clock can hold.
_YEARS = range(1900, 3000)
_ARGUMENT = "args."
_TOKEN = re.compile(r'(?:[^\s":]+:)?(?:"[^"]*"|[^\s"]+)|"')
_QUALIFIED = re.compile(r"([A-Za-z_][\w.\-]*):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Term:
    """One condition: `name` is a qualifier, `job?` for a bare word, or `args.` and a path into the arguments."""

    name: str
    value: str


@dataclass(frozen=True)
class Search:
    """What the search box says, and what it says that we do not understand."""

    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def only_id(self) -> str | None:
        """The id, when nothing else is asked for."""
        ids = [term.value for term in self.terms if term.name == "id"]
        return ids[0] if len(ids) == len(self.terms) == 1 else None


def parse(text: str, *, qualifiers: Iterable[str] = QUALIFIERS) -> Search:
    """Read a search box.

    >>> parse("state:dead args.order_id:42").terms
    (Term(name='state', value='dead'), Term(name='args.order_id', value='42'))
    >>> parse("charge_order").terms
    (Term(name='job?', value='charge_order'),)
    """
    tokens = _TOKEN.findall(text) if len(text) <= MOST_CHARACTERS else []
    if len(text) > MOST_CHARACTERS or len(tokens) > MOST_TERMS:
        return Search(problems=(_too_long(),))
    terms: list[Term] = []
    problems: list[str] = []
    for token in tokens:
        if problem := _problem_of(token, qualifiers=tuple(qualifiers)):
            problems.append(problem)
        else:
            terms.append(_term(token))
    return Search(tuple(terms), tuple(problems))


def as_uuid(text: str) -> uuid.UUID | None:
    """The id that a text is, with or without its hyphens."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def parse_moment(text: str, *, now: datetime) -> datetime | None:
    """`2026-05-03T14:00` in the current time zone, or an age such as `3h`, counted back from `now`.

    Raises ValueError when it is neither.
    """
    if not text:
        return None
    if moment := parse_iso(text):
        return moment
    return now - parse_age(text)


def parse_iso(text: str) -> datetime | None:
    """`2026-05-03T14:00`, in the current time zone where it names none; None when it is not of that form.

    Raises ValueError when there is no such date, or not within the years that we reckon with.
    """
    try:
        moment = parse_datetime(text)
    except ValueError as error:
        raise ValueError(_("%(text)s is no date: %(why)s") % {"text": text, "why": error}) from error
    if moment and moment.year not in _YEARS:
        years = {"first": _YEARS[0], "last": _YEARS[-1]}
        raise ValueError(
            _("%(text)s is no date of a run. Take a year from %(first)d to %(last)d.") % {"text": text, **years}
        )
    return timezone.make_aware(moment) if moment and timezone.is_naive(moment) else moment


def json_renderings(value: str) -> list[str]:
    """How a JSON column may spell a value that was typed: as a number or word, and as a string."""
    spellings = {json.dumps(value), json.dumps(value, ensure_ascii=False)}
    if _typed(value) != value:
        spellings.add(value)
    return sorted(spellings)


def typed_values(value: str) -> list[object]:
    """The JSON values that a typed text may stand for: `42` is a number, or a string of digits."""
    return [value] if _typed(value) == value else [value, _typed(value)]


def _typed(value: str) -> object:
    try:
        typed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    # Python reads and writes NaN and Infinity, which JSON columns do not know.
    is_finite_float = isinstance(typed, float) and math.isfinite(typed)
    return typed if isinstance(typed, bool | int) or is_finite_float else value


def _too_long() -> str:
    text = _("That is too much to search for. Take at the most %(terms)d terms and %(characters)d characters.")
    return text % {"terms": MOST_TERMS, "characters": MOST_CHARACTERS}


def _problem_of(part: str, *, qualifiers: tuple[str, ...]) -> str:
    match = _QUALIFIED.fullmatch(part)
    if match is None:
        return _("A quotation mark is not closed.") if part == '"' else ""
    name, value = match.groups()
    if not value.strip('"'):
        return _("%(name)s: wants a value after the colon.") % {"name": name}
    if name.count(".") > MOST_DEPTH:
        return _("%(name)s: looks too deep. Take at the most %(most)d names after args.") % {
            "name": name,
            "most": MOST_DEPTH,
        }
    if name in qualifiers or (name.startswith(_ARGUMENT) and len(name) > len(_ARGUMENT) and "arg" in qualifiers):
        return ""
    known = ", ".join(f"{each}:" for each in qualifiers)
    return _("There is no %(name)s: to search by.%(hint)s Known are %(known)s.") % {
        "name": name,
        "hint": did_you_mean(name, qualifiers),
        "known": known,
    }


def _term(token: str) -> Term:
    if match := _QUALIFIED.fullmatch(token):
        name, value = match.groups()
        return Term(name, value.strip('"'))
    word = token.strip('"')
    return Term("id" if as_uuid(word) else "job?", word)


def offered(names: list[str], chosen: str | None) -> list[str]:
    """What a list to choose from has: these names, and the chosen one, which may be of another release."""
    return names if not chosen or chosen in names else [*names, chosen]

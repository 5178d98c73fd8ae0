"""What an operator typed, as values. Asks no database."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from jobs.errors import did_you_mean
from jobs.policy.ages import parse_age

QUALIFIERS = (
    *("id", "job", "queue", "state", "error", "worker", "batch", "workflow", "schedule", "cause", "release"),
    *("request", "subject", "after", "before", "waited", "took", "attempts", "arg", "is"),
)
# An operator's question is far shorter; a database's parser gives up at some hundred conditions.
MOST_CHARACTERS = 1000
MOST_TERMS = 20
MOST_DEPTH = 10
# Of one qualifier, with commas between them.
MOST_VALUES = 20
# Room on both sides for any time zone and any age, in what a clock can hold.
_YEARS = range(1900, 3000)
_ARGUMENT = "args."
_TOKEN = re.compile(r'(?:"[^"]*"|[^\s"])+|"')
_QUALIFIED = re.compile(r"(-?)([A-Za-z_][\w.\-]*):(.*)", re.DOTALL)
_VALUE = re.compile(r'(?:"[^"]*"|[^,"])+')


@dataclass(frozen=True)
class Term:
    """One condition: `name` is a qualifier, `job?` for a bare word, or `args.` and a path into the arguments.

    One of the `values` is enough; where `negated`, none may be. `text` is how it was typed.
    """

    name: str
    values: tuple[str, ...]
    negated: bool = False
    text: str = field(default="", compare=False)

    @property
    def value(self) -> str:
        """The first of the values; most have no other."""
        return self.values[0]

    @property
    def only(self) -> str | None:
        """The one value that is asked for; None where there are several, or it is not to be."""
        return None if self.negated or len(self.values) > 1 else self.values[0]


@dataclass(frozen=True)
class Search:
    """What the search box says, and what it says that we do not understand."""

    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def only_id(self) -> str | None:
        """The id, when nothing else is asked for."""
        ids = [term.only for term in self.terms if term.name == "id"]
        return ids[0] if len(ids) == len(self.terms) == 1 else None


def parse(text: str, *, qualifiers: Iterable[str] = QUALIFIERS, plain: bool = False) -> Search:
    """Read a search box. In a `plain` one commas and a hyphen in front mean themselves.

    >>> parse("state:dead,retrying -queue:low").terms
    (Term(name='state', values=('dead', 'retrying'), negated=False, text='state:dead,retrying'), \
Term(name='queue', values=('low',), negated=True, text='-queue:low'))
    """
    tokens = _TOKEN.findall(text) if len(text) <= MOST_CHARACTERS else []
    if len(text) > MOST_CHARACTERS or len(tokens) > MOST_TERMS:
        return Search(problems=(_too_long(),))
    terms: list[Term] = []
    problems: list[str] = []
    for token in tokens:
        if problem := _problem_of(token, qualifiers=tuple(qualifiers), plain=plain):
            problems.append(problem)
        else:
            terms.append(_term(token, plain=plain))
    return Search(tuple(terms), tuple(problems))


def written(name: str, *values: str) -> str:
    """A condition as one would type it.

    >>> written("job", "charge", "send receipt")
    'job:charge,"send receipt"'
    """
    plain = [value.replace('"', "") for value in values]
    return f"{name}:" + ",".join(f'"{value}"' if re.search(r"[\s,]", value) else value for value in plain)


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


def _qualified(token: str, *, plain: bool) -> re.Match[str] | None:
    match = _QUALIFIED.fullmatch(token)
    return None if plain and match and match[1] else match


def _problem_of(part: str, *, qualifiers: tuple[str, ...], plain: bool) -> str:
    match = _qualified(part, plain=plain)
    if match is None:
        if part == '"':
            return _("A quotation mark is not closed.")
        return "" if part.strip('",') else _("There is nothing between the quotation marks.")
    _minus, name, value = match.groups()
    if not value.strip('",'):
        return _("%(name)s: wants a value after the colon.") % {"name": name}
    if len(_VALUE.findall(value)) > MOST_VALUES:
        return _("%(name)s: takes at the most %(most)d values.") % {"name": name, "most": MOST_VALUES}
    if name.count(".") > MOST_DEPTH:
        text = _("%(name)s: looks too deep. Take at the most %(most)d names after args.")
        return text % {"name": name, "most": MOST_DEPTH}
    if name in qualifiers or (name.startswith(_ARGUMENT) and len(name) > len(_ARGUMENT) and "arg" in qualifiers):
        return ""
    known = ", ".join(f"{each}:" for each in qualifiers)
    return _("There is no %(name)s: to search by.%(hint)s Known are %(known)s.") % {
        "name": name,
        "hint": did_you_mean(name, qualifiers),
        "known": known,
    }


def _term(token: str, *, plain: bool) -> Term:
    if match := _qualified(token, plain=plain):
        minus, name, value = match.groups()
        return Term(name, _values(value, plain=plain), bool(minus), token)
    negated = token.startswith("-") and len(token) > 1 and not plain
    values = _values(token[1:] if negated else token, plain=plain)
    return Term("id" if all(map(as_uuid, values)) else "job?", values, negated, token)


def _values(text: str, *, plain: bool) -> tuple[str, ...]:
    parts = [text] if plain else _VALUE.findall(text)
    return tuple(value for part in parts if (value := part.replace('"', ""))) or (text.strip('",'),)


def offered(names: list[str], chosen: str | None) -> list[str]:
    """What a list to choose from has: these names, and the chosen one, which may be of another release."""
    return names if not chosen or chosen in names else [*names, chosen]

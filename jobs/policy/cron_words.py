"""A cron expression in words, and its due times with what the clock on the wall does to them. Reads no clock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.errors import BadSchedule
from jobs.policy.cron import Cron, fields_of

_NONE = timedelta(0)
_SECOND = timedelta(seconds=1)
# What the words come in.
_LOCALES = (
    *("en_US", "cs_CZ", "da_DK", "de_DE", "el_GR", "es_ES", "fa_IR", "fi_FI", "fr_FR", "he_IL", "hu_HU", "it_IT"),
    *("ja_JP", "kk_KZ", "ko_KR", "nb_NO", "nl_NL", "pl_PL", "pt_PT", "ro_RO", "ru_RU", "sk_SK", "sl_SI", "sv_SE"),
    *("ta_IN", "th_TH", "tr_TR", "uk_UA", "vi_VN", "zh_CN"),
)


@dataclass(frozen=True)
class DueTime:
    """A due time by the clock of its zone, and what is odd about it there.

    `change`: by how much the clock was set since the due time before, below zero for back. `is_leapt`: the clock leaps
    over the time that the expression says, and this is right after. `is_twice`: the clock shows it twice, and this is
    the first.
    """

    at: datetime
    change: timedelta = _NONE
    is_leapt: bool = False
    is_twice: bool = False

    @property
    def note(self) -> str:
        """What to know of it, empty where the clock does nothing about it."""
        minutes = abs(self.change) // timedelta(minutes=1)
        notes = (
            (bool(self.change), f"clock {'forward' if self.change > _NONE else 'back'} {minutes} min"),
            (self.is_leapt, "right after the leap over the time that is said"),
            (self.is_twice, "the first of two that the clock shows"),
        )
        return ", ".join(text for holds, text in notes if holds)


def in_words(expression: str, language: str = "en") -> str:
    """What an expression says, in one of some thirty languages; in English for others. Raises `BadSchedule`.

    >>> in_words("30 2 * * 1-5")
    'At 02:30, Monday through Friday'
    """
    # Kept from the import of `jobs`, as what reads the fields is.
    from cron_descriptor import ExpressionDescriptor, FormatException, Options

    locale = next((one for one in _LOCALES if one[:2] == language[:2].lower()), _LOCALES[0])
    # It warns where neither it nor the system is told of one.
    options = Options(locale_code=locale, use_24hour_time_format=True)
    # It knows the last day of a month by a large letter only.
    fields = fields_of(expression).upper()
    try:
        return str(ExpressionDescriptor(fields, options).get_description())
    except FormatException as error:
        raise BadSchedule(f'"{expression}" cannot be put in words: {error}') from error


def due_times(cron: Cron, after: datetime, count: int) -> list[DueTime]:
    """The next few due times after a moment."""
    found, before = [], after
    for due in itertools.islice(cron.due_times(after), count):
        found.append(_seen(cron, before, due))
        before = due
    return found


def _seen(cron: Cron, before: datetime, due: datetime) -> DueTime:
    local = due.astimezone(cron.zone)
    change = _offset(local) - _offset(before.astimezone(cron.zone))
    if cron.is_interval:
        return DueTime(local, change)
    wall = local.replace(tzinfo=UTC, fold=0)
    is_said = Cron(cron.expression, "UTC").next(wall - _SECOND) == wall
    return DueTime(local, change, is_leapt=not is_said, is_twice=is_said and _is_twice(local))


def _is_twice(local: datetime) -> bool:
    return not local.fold and _offset(local.replace(fold=1)) != _offset(local)


def _offset(local: datetime) -> timedelta:
    return local.utcoffset() or _NONE

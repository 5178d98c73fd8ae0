"""What this deployment's `JOBS["ALERTS"]` says. What is wrong with it is left to the system check `jobs.E009`."""

from __future__ import annotations

from collections.abc import Iterable

from jobs import conf
from jobs.models import AlertRule
from jobs.policy import alert_choices
from jobs.policy.alert_choices import Choices
from jobs.policy.alert_rules import OF_CODE, Change, Changes, Rulebook


def get() -> Choices:
    """The choices in force: the defaults where the setting cannot be read."""
    try:
        return alert_choices.read(conf.get().ALERTS)
    except (ValueError, AttributeError):
        return Choices()


def is_on() -> bool:
    """Whether rules are looked at here."""
    return get().on


def code() -> Rulebook:
    """The rules as the code and the settings say."""
    return Rulebook((OF_CODE, get().rules))


def book() -> Rulebook:
    """The rules in force, in one query."""
    return book_of(AlertRule.objects.all())


def book_of(rows: Iterable[AlertRule]) -> Rulebook:
    """The rules in force, by these rows."""
    return Rulebook((*code().layers, edits(rows)))


def told_by() -> tuple[str, ...]:
    """The channels by which people are told here."""
    return get().channels


def edits(rows: Iterable[AlertRule]) -> Changes:
    """What people changed."""
    return {(row.kind, row.scope): change_of(row) for row in rows}


def change_of(row: AlertRule) -> Change:
    """What a row changes."""
    return Change(row.limit, row.for_seconds, row.severity or None, row.is_on, row.silenced_until)

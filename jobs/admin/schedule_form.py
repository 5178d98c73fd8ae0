"""The form that adds and edits schedules: what it says as terms, and what those would bring about. Changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.models import Schedule
from jobs.policy.ages import parse_age
from jobs.policy.scheduling import FIELDS, Terms
from jobs.schedules import rows
from jobs.schedules.previews import Preview, preview

# Far above what a person types into a form, and far below what a page should carry.
_MOST_CHARACTERS = 20_000
_SECONDS = ("grace", "jitter", "late_after")
_COUNTS = ("most_missed", "most_waiting")
_DEFAULTS = Terms(job="any", expression="@daily", timezone="UTC").as_json()
_UNITS = (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass
class ScheduleForm:
    """A schedule as somebody asks for it: each field as a text, what is wrong with it, and what would follow.

    `schedule` is the one to be edited, None for one to be added; `revision` is the one that was looked at.
    """

    asked: dict[str, str]
    schedule: Schedule | None = None
    revision: int = 0
    told: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    preview: Preview | None = None

    @classmethod
    def blank(cls, query: Mapping[str, str]) -> ScheduleForm:
        """To add one: the defaults, and what a link says."""
        known = {name: _text(name, value) for name, value in _DEFAULTS.items()}
        known |= {"job": "", "expression": "", "timezone": timezone.get_default_timezone_name(), "name": ""}
        return cls(known | {name: query[name][:_MOST_CHARACTERS] for name in known if query.get(name)})

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleForm:
        """To edit one: what its row says, its arguments masked."""
        terms = rows.shown_terms({name: getattr(schedule, name) for name in FIELDS}, schedule.job)
        return cls({name: _text(name, terms[name]) for name in FIELDS}, schedule, schedule.revision)

    @classmethod
    def sent(cls, query: Mapping[str, str], schedule: Schedule | None = None) -> ScheduleForm:
        """What a form sent, looked at."""
        names = FIELDS if schedule else ("name", *FIELDS)
        asked = {name: query.get(name, "").strip()[:_MOST_CHARACTERS] for name in names}
        if schedule is not None and schedule.by_code:
            asked["job"] = schedule.job
        revision = query.get("revision", "")[:18]
        made = cls(asked, schedule, int(revision) if revision.isdecimal() else -1)
        made._read()
        made._look()
        return made

    @property
    def name(self) -> str:
        return self.asked.get("name", "")

    @property
    def is_whole(self) -> bool:
        """Whether it can be done."""
        return not self.problems and self.preview is not None and self.preview.terms is not None

    @property
    def would_change(self) -> bool:
        """Whether there would be anything else than there is."""
        return self.schedule is None or (self.preview is not None and bool(self.preview.after))

    @property
    def changes(self) -> dict[str, Any]:
        """The terms that differ from the row's; all of one that is to be added."""
        if self.schedule is None:
            return self.told
        before = ScheduleForm.of(self.schedule).asked
        return {name: value for name, value in self.told.items() if self.asked[name] != before[name]}

    @property
    def digest(self) -> str:
        """What was looked at, so that nothing else is saved."""
        return hashlib.sha256(json.dumps([self.asked, self.revision], sort_keys=True).encode()).hexdigest()

    def _read(self) -> None:
        for name in FIELDS:
            try:
                self.told[name] = _READERS.get(name, str)(self.asked[name])
            except ValueError as error:
                self.problems.setdefault(name, []).append(str(error))

    def _look(self) -> None:
        self.preview = preview(
            self.changes if self.schedule else self.told, now=timezone.now(), name=self.name, schedule=self.schedule
        )
        for name, texts in self.preview.problems.items():
            # What cannot be read has been said already.
            self.problems.setdefault(name, list(texts))


def seconds_as_text(value: float | None) -> str:
    """`90.0` as `1m30s`, which `_seconds` reads as the same; parts of a second as a bare number.

    >>> [seconds_as_text(one) for one in (None, 0.0, 0.5, 90.0, 3600.0)]
    ['', '0s', '0.5', '1m30s', '1h']
    """
    if value is None:
        return ""
    if value != int(value):
        return f"{value!r}"
    text, rest = "", int(value)
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _text(name: str, value: Any) -> str:
    if name in _SECONDS:
        return seconds_as_text(value)
    if name == "arguments":
        return json.dumps(value, ensure_ascii=False, indent=2) if value else ""
    return str(value)


def _seconds(text: str) -> float:
    """`90`, `90s` or `1m30s`."""
    try:
        return float(text)
    except ValueError:
        return parse_age(text).total_seconds()


def _late_after(text: str) -> float | None:
    return _seconds(text) if text else None


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise ValueError(_('"%(text)s" is no whole number.') % {"text": text[:50]})
    return int(text)


def _arguments(text: str) -> Any:
    try:
        return json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        cure = _('Write the job\'s parameters and their values as JSON, such as {"day": "{day}"}.')
        raise ValueError(_("This cannot be read as JSON (%(why)s). %(cure)s") % {"why": error, "cure": cure}) from error


_READERS: dict[str, Callable[[str], Any]] = {
    "grace": _seconds,
    "jitter": _seconds,
    "late_after": _late_after,
    "most_missed": _count,
    "most_waiting": _count,
    "arguments": _arguments,
}

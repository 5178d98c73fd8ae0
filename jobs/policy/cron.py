"""When a cron expression is due, by the clock on the wall of a time zone. Reads no clock.

A schedule is an *interval* when it goes through all hours, as `*/15 * * * *` and `5 * * * *` do: it is due in each
minute that really passes and whose wall time fits, so that a change of the clock neither stretches nor repeats it.

All others name hours, so they are due by wall times. One that the clock leaps over is due right after the leap,
together with all others that it leaps over; one that the clock shows twice is due the first time. See decision 0045.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from jobs.errors import BadSchedule, did_you_mean

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_LONGEST = 200
_ALL_HOURS = 24
# Expressions are asked whether they are ever due from here: a leap day is near, and so is each day of the week.
_TRIED_FROM = datetime(2024, 1, 1)
# So many due times are counted one by one; of more it is only known that they are more.
COUNTED = 10_000
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Passed:
    """Due times that lie behind: how many, the first, and the latest few in their order.

    `capped`: they are more than `count`, which is `COUNTED` then.
    """

    count: int
    capped: bool
    first: datetime
    latest: tuple[datetime, ...]


@dataclass(frozen=True)
class Cron:
    """An expression in a time zone. Raises `BadSchedule` where either cannot be."""

    expression: str
    timezone: str

    def __post_init__(self) -> None:
        fields_of(self.expression)
        zone_of(self.timezone)

    @functools.cached_property
    def zone(self) -> ZoneInfo:
        return zone_of(self.timezone)

    @functools.cached_property
    def is_interval(self) -> bool:
        """Whether it goes through all hours, and so runs by the time that really passes."""
        return _goes_through_all_hours(fields_of(self.expression))

    def next(self, after: datetime) -> datetime | None:
        """The first due time after this moment, None where there is none in the next decades. Aware, in UTC."""
        return next(self.due_times(after), None)

    def due_times(self, after: datetime) -> Iterator[datetime]:
        """All due times after this moment, one by one. Aware, in UTC."""
        after = after.astimezone(UTC)
        return self._by_interval(after) if self.is_interval else self._by_wall(after)

    def passed(self, after: datetime, until: datetime, *, most: int) -> Passed | None:
        """The due times after one moment and up to another, None where there is none; `most` of the latest."""
        latest: deque[datetime] = deque(maxlen=most)
        first, count = None, 0
        for due in self.due_times(after):
            if due > until:
                break
            first, count = first or due, count + 1
            if count > COUNTED:
                return Passed(COUNTED, True, first, self._latest(after, until, most))
            latest.append(due)
        return Passed(count, False, first, tuple(latest)) if first else None

    def _latest(self, after: datetime, until: datetime, most: int) -> tuple[datetime, ...]:
        """The same from the end: looks further back until it has enough."""
        back = timedelta(hours=1)
        while True:
            start = max(after, until - back)
            some = deque(self._up_to(start, until), maxlen=most)
            if len(some) == most or start == after:
                return tuple(some)
            back *= 2

    def _up_to(self, after: datetime, until: datetime) -> Iterator[datetime]:
        for due in self.due_times(after):
            if due > until:
                return
            yield due

    def _by_wall(self, after: datetime) -> Iterator[datetime]:
        last = after
        for wall in _walls(self.expression, _shown(after, self.zone)):
            due = _first_moment(wall, self.zone)
            if due > last:
                yield due
                last = due

    def _by_interval(self, after: datetime) -> Iterator[datetime]:
        local = after.astimezone(self.zone)
        # `ends` is when the clock is set back, while it shows for the first time what it will show again.
        wall, fold, ends = _shown(after, self.zone), local.fold, _set_back_at(local)
        while True:
            for shown in _walls(self.expression, wall):
                if not _exists(shown, self.zone):
                    continue
                due = _moment(shown, self.zone, fold)
                if ends is not None and due >= ends:
                    wall, fold, ends = _shown(ends, self.zone) - _SECOND, 1, None
                    break
                yield due
                if not _is_twice(shown, self.zone):
                    fold = 0
                elif not fold:
                    ends = _set_back_at(due.astimezone(self.zone))
            else:
                return


@functools.lru_cache(maxsize=512)
def fields_of(expression: str) -> str:
    """The five fields of an expression, also of one such as `@daily`. Raises `BadSchedule` for what is none, or is
    never due.

    >>> fields_of("@daily")
    '0 0 * * *'
    """
    fields = _fields(expression)
    # Kept from the import of `jobs`, which it would make three times as long.
    from croniter import CroniterError

    try:
        if next(_walls(fields, _TRIED_FROM), None) is None:
            raise BadSchedule(f'"{expression}" is never due: there is no such day. Look at its day and its month.')
    except CroniterError as error:
        raise BadSchedule(f'"{expression}" is no cron expression ({error}). {_CURE}') from error
    return fields


@functools.lru_cache(maxsize=512)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of this name. Raises `BadSchedule` with the nearest one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        known = available_timezones()
        cure = did_you_mean(str(name), known) if known else " This system knows none: install the package tzdata."
        raise BadSchedule(
            f"There is no time zone {name!r} here.{cure} Pass the name of one, such as Europe/Berlin or UTC."
        ) from error


@functools.cache
def zones() -> list[str]:
    """The time zones that this system knows, by name."""
    return sorted(available_timezones())


def _fields(expression: str) -> str:
    if not isinstance(expression, str) or not 0 < len(expression) <= _LONGEST:
        raise BadSchedule(f"{expression!r} is no cron expression. {_CURE}")
    text = " ".join(expression.lower().split())
    if text.startswith("@"):
        if text not in ALIASES:
            raise BadSchedule(
                f'There is no "{expression}".{did_you_mean(text, ALIASES)} There are {", ".join(ALIASES)}.'
            )
        return ALIASES[text]
    count = len(text.split())
    if count in (6, 7):
        raise BadSchedule(
            f'"{expression}" has {count} fields: schedules know neither seconds nor years. {_CURE} '
            "What is to run more often than each minute is a job that enqueues itself, or a loop."
        )
    if count != _FIELDS:
        raise BadSchedule(f'"{expression}" has {count} field{"" if count == 1 else "s"}. {_CURE}')
    if _BY_CHANCE.search(text):
        raise BadSchedule(f'"{expression}": H and R draw a time by chance. Write the time; jitter spreads runs.')
    return text


_FIELDS = 5
_CURE = "Write five fields, minute hour day month weekday, such as 0 3 * * * (at three each night)."
# Names of months and days have these letters inside, never in front of a bracket, a slash or a space.
_BY_CHANCE = re.compile(r"(?<![a-z])[hr](?![a-z])")


@functools.lru_cache(maxsize=512)
def _goes_through_all_hours(fields: str) -> bool:
    from croniter import croniter

    hours = croniter.expand(fields)[0][1]
    return "*" in hours or len(set(hours)) == _ALL_HOURS


def _walls(expression: str, after: datetime) -> Iterator[datetime]:
    """The wall times after this one that fit, in their order, whether or not a clock ever shows them."""
    from croniter import CroniterBadDateError, croniter

    fitting = croniter(_fields(expression), after)
    while True:
        try:
            yield fitting.get_next(datetime)
        except CroniterBadDateError:
            return


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _moment(wall: datetime, zone: ZoneInfo, fold: int = 0) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _leap(wall: datetime, zone: ZoneInfo) -> timedelta:
    """Above zero where the clock leaps over this wall time, below where it shows it twice; by how much it changes."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0) for fold in (0, 1))
    return second - first


def _exists(wall: datetime, zone: ZoneInfo) -> bool:
    return _leap(wall, zone) <= timedelta(0)


def _is_twice(wall: datetime, zone: ZoneInfo) -> bool:
    return _leap(wall, zone) < timedelta(0)


def _first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock first shows this wall time; right after its leap where it never does."""
    if _exists(wall, zone):
        return _moment(wall, zone)
    return _change_between(_moment(wall, zone, fold=1), _moment(wall, zone), zone)


def _set_back_at(local: datetime) -> datetime | None:
    """When the clock will be set back, if it shows for the first time what it will show again; else None."""
    assert isinstance(local.tzinfo, ZoneInfo)
    wall = local.replace(tzinfo=None, fold=0)
    if local.fold or not _is_twice(wall, local.tzinfo):
        return None
    return _change_between(local.astimezone(UTC), _moment(wall, local.tzinfo, fold=1), local.tzinfo)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """When the zone's offset changes, to the second; it does so once between these moments."""
    offset = before.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)

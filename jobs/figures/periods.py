"""The periods that can be asked for, and which rows serve them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.metrics.spans import DAY, HOUR, start_of_day, start_of_hour, start_of_minute
from jobs.models import MetricDay, MetricHour, MetricMinute

_MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Grain:
    """Rows of one kind: `when` is the column that says when they begin, and they last `every`."""

    model: type[models.Model]
    when: str
    every: timedelta

    def begin(self, moment: datetime) -> datetime:
        """When the row of a moment begins."""
        return _BEGINS[self.when](moment)


_BEGINS = {"minute": start_of_minute, "hour": start_of_hour, "day": start_of_day}
MINUTES = Grain(MetricMinute, "minute", _MINUTE)
HOURS = Grain(MetricHour, "hour", HOUR)
DAYS = Grain(MetricDay, "day", DAY)


@dataclass(frozen=True)
class Period:
    """So much time up to now, in whole slices: the last of them goes on.

    `slices` serve what is drawn, `sums` what is summed up by job; both begin at the same moment.
    """

    key: str
    label: str | Promise
    slices: Grain
    sums: Grain
    count: int

    def since(self, now: datetime) -> datetime:
        """When the first slice begins."""
        return self.sums.begin(now) - (self.count - 1) * self.sums.every

    def begins(self, now: datetime) -> list[datetime]:
        """When each of its slices begins."""
        first, every = self.since(now), self.slices.every
        return [first + number * every for number in range(int((now - first) / every) + 1)]


PERIODS = {
    period.key: period
    for period in (
        Period("1h", _("1 hour"), MINUTES, MINUTES, 60),
        Period("24h", _("24 hours"), HOURS, HOURS, 24),
        Period("7d", _("7 days"), HOURS, DAYS, 7),
        Period("13w", _("13 weeks"), DAYS, DAYS, 91),
    )
}

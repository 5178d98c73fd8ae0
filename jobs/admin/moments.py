"""Moments that are to come, as people type them. Asks no database."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from jobs.errors import BadSchedule
from jobs.policy.ages import parse_age
from jobs.policy.cron import zone_of

_YEARS_END = 3000


def moment_to_come(text: str, zone: str) -> datetime | None:
    """`2h` from now, or `2026-05-03T08:00` by the clock of a zone; None where nothing is said. Raises ValueError."""
    if not text:
        return None
    now = timezone.now()
    moment = parse_datetime(text[:40]) or now + parse_age(text[:40])
    try:
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone))
    except BadSchedule as error:
        raise ValueError(str(error)) from error
    # Further on, no clock of another zone holds it.
    if moment.year >= _YEARS_END:
        raise ValueError(
            _("%(text)s is too far off. Take a year before %(year)d.") % {"text": text, "year": _YEARS_END}
        )
    if moment <= now:
        raise ValueError(_("%(text)s has passed. Write a time that is to come, such as 2h or 3d.") % {"text": text})
    return moment

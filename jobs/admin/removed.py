"""The answer for an id that no run has: what can still be known of it. Status 404."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import conf
from jobs.admin import audit_log
from jobs.admin.console import ConsoleAdmin
from jobs.policy.ids import time_of

_VERSION = 7


def removed(console: ConsoleAdmin, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """When a run of this id was asked for, and since when retention may have removed it; or that there was none."""
    now, days = timezone.now(), conf.keep_days()
    asked_at = time_of(pk) if pk.version == _VERSION else None
    is_ours = asked_at is not None and asked_at <= now + timedelta(minutes=1)
    first = asked_at + timedelta(days=min(days.values())) if asked_at and is_ours else None
    last = asked_at + timedelta(days=max(days.values())) if asked_at and is_ours else None
    response = console.page(
        request,
        "removed.html",
        title=_("No such run"),
        run_id=pk,
        asked_at=asked_at if is_ours else None,
        # It is removed so many days after its end, which the id does not tell.
        removed_from=first if first and first <= now else None,
        removed_until=last if last and last <= now else None,
        days=sorted(days.items(), key=lambda item: item[1]),
        audit_entries=audit_log.latest(request, str(pk)),
    )
    response.status_code = 404
    return response

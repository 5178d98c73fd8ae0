"""A line that says what a run in a lane waits for. Asks Redis, and does without where it does not answer."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.broker.lane_now import LaneNow, LimitNow, lane_of
from jobs.errors import BrokerUnavailable
from jobs.models import JobRun, RunState

# What a row says of a run that was put off or failed, and whose time has come since.
_WAITING = (RunState.QUEUED, RunState.SCHEDULED, RunState.RETRYING)


def lane_line(run: JobRun) -> str:
    """What a run waits for by its limits, empty where nothing limits it."""
    if run.state not in _WAITING:
        return ""
    try:
        lane = lane_of(run.rq_id)
    except BrokerUnavailable:
        return ""
    return " ".join([_waits_for(lane), _ahead(lane)]).strip() if lane and lane.limits else ""


def _waits_for(lane: LaneNow) -> str:
    full = [_told(limit) for limit in lane.limits if limit.is_full]
    if not full:
        return _("It is limited, and has its turn soon: its limits have room.")
    return _("It waits for its limit: %(limits)s.") % {"limits": "; ".join(full)}


def _told(limit: LimitNow) -> str:
    facts = {"name": limit.name, "used": limit.used, "most": limit.most, "seconds": f"{limit.seconds or 0:g}"}
    if limit.seconds is None:
        return _("%(name)s, %(used)s of %(most)s at once") % facts
    return _("%(name)s, %(used)s of %(most)s in %(seconds)s s") % facts


def _ahead(lane: LaneNow) -> str:
    if lane.ahead is None:
        return _("A thousand runs or more are ahead of it in its lane.")
    if not lane.ahead:
        return _("It is the first of its lane.")
    count = lane.ahead
    return ngettext(
        "%(count)s run is ahead of it in its lane.", "%(count)s runs are ahead of it in its lane.", count
    ) % {"count": count}

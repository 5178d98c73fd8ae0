"""What each reason is called: the same words on every page and in terminals, by which people find them in the guide."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from jobs.policy.reasons import Why

_TITLES: dict[Why, str | Promise] = {
    Why.REDIS_AWAY: gettext_lazy("Redis does not answer"),
    Why.NOT_PUSHED: gettext_lazy("Not pushed yet"),
    Why.RETRY_LATER: gettext_lazy("Waits for its next attempt"),
    Why.LOCK: gettext_lazy("Waits for a lock"),
    Why.CIRCUIT: gettext_lazy("The circuit is open"),
    Why.UNKNOWN_JOB: gettext_lazy("The job is unknown"),
    Why.DATABASE_AWAY: gettext_lazy("The database was away"),
    Why.PUT_OFF: gettext_lazy("Put off"),
    Why.DUE_LATER: gettext_lazy("Due later"),
    Why.PAUSED: gettext_lazy("The queue is paused"),
    Why.NOT_COMPARED: gettext_lazy("Claims stand still"),
    Why.JOURNAL_FULL: gettext_lazy("The journal is full"),
    Why.NO_WORKER: gettext_lazy("No live worker"),
    Why.QUEUE_UNSERVED: gettext_lazy("No worker for this queue"),
    Why.QUIET: gettext_lazy("The workers are quiet"),
    Why.FUSE: gettext_lazy("Kept by a fuse"),
    Why.ISOLATED: gettext_lazy("Suspected of a crash"),
    Why.PARENT_DEAD: gettext_lazy("What it waits for has failed"),
    Why.PARENT: gettext_lazy("Waits for another run"),
    Why.SLOT: gettext_lazy("Its limit is used up"),
    Why.RATE_LIMIT: gettext_lazy("Its rate limit is used up"),
    Why.LOST: gettext_lazy("In no place"),
    Why.AHEAD: gettext_lazy("Others are ahead of it"),
    Why.NEXT: gettext_lazy("It is the next one"),
    Why.RECORDER_BEHIND: gettext_lazy("The recorder is behind"),
    Why.STOPPING: gettext_lazy("It is being stopped"),
    Why.LEASE_ENDED: gettext_lazy("Its worker is silent"),
    Why.RUNNING: gettext_lazy("It is running"),
    Why.ENDED_UNRECORDED: gettext_lazy("It has ended"),
    Why.UNIQUE: gettext_lazy("An equal run is pending"),
    Why.DEAD: gettext_lazy("It is dead"),
    Why.ENDED: gettext_lazy("It has ended"),
}


def title_of(why: Why) -> str:
    """What a check is called."""
    return str(_TITLES[why])

"""What is said of rules and incidents, in plain words, and where their cure is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.models import Incident
from jobs.policy.alert_rules import KINDS

Text = str | Promise

# What is wrong, where the scope is known.
_TITLES: dict[str, Text] = {
    "waiting": gettext_lazy("Too many runs wait in the queue %(scope)s"),
    "wait": gettext_lazy("Runs wait too long in the queue %(scope)s"),
    "no_worker": gettext_lazy("No live worker takes from the queue %(scope)s"),
    "paused": gettext_lazy("The queue %(scope)s has been paused for long"),
    "failing": gettext_lazy("Too many attempts of %(scope)s fail"),
    "dying": gettext_lazy("Too many runs died within an hour"),
    "retrying": gettext_lazy("More and more runs wait for a retry"),
    "schedule": gettext_lazy("The schedule %(scope)s did not start"),
    "workflow": gettext_lazy("Workflows have stalled"),
    "circuit": gettext_lazy("The circuit %(scope)s has been open for long"),
    "recorder": gettext_lazy("What happens is recorded late"),
    "unpushed": gettext_lazy("Runs do not get to Redis"),
    "redis": gettext_lazy("Redis does not answer"),
    "memory": gettext_lazy("Redis is nearly full"),
    "eviction": gettext_lazy("Redis may throw jobs away"),
    "unchecked": gettext_lazy("Some alert rules cannot be looked at: %(scope)s"),
    "silence": gettext_lazy("Nobody looked at the alert rules"),
}
# What a rule looks at, for its line in the list.
NAMES: dict[str, Text] = {
    "waiting": gettext_lazy("Runs waiting in a queue"),
    "wait": gettext_lazy("Oldest wait in a queue"),
    "no_worker": gettext_lazy("No live worker for a queue"),
    "paused": gettext_lazy("A queue is paused for long"),
    "failing": gettext_lazy("Failure rate of a job, in 15 minutes"),
    "dying": gettext_lazy("Deaths within an hour"),
    "retrying": gettext_lazy("More runs wait for a retry than half an hour ago"),
    "schedule": gettext_lazy("A schedule did not start"),
    "workflow": gettext_lazy("A workflow has stalled"),
    "circuit": gettext_lazy("A circuit is open for long"),
    "recorder": gettext_lazy("The recorder is behind"),
    "unpushed": gettext_lazy("Runs do not get to Redis"),
    "redis": gettext_lazy("Redis does not answer"),
    "memory": gettext_lazy("Memory of Redis"),
    "eviction": gettext_lazy("Redis may evict"),
    "unchecked": gettext_lazy("A rule cannot be looked at"),
    "silence": gettext_lazy("Nobody looked at the rules"),
}
_CURES: dict[str, Text] = {
    "waiting": gettext_lazy("See whether workers are there and what their runs take; start more, or hold what floods."),
    "wait": gettext_lazy("See whether workers are there, and whether queues above it take all their time."),
    "no_worker": gettext_lazy("Start rqworker with this queue, or see in its log why it ended."),
    "paused": gettext_lazy("Resume it, if nobody needs the pause any more."),
    "failing": gettext_lazy("The causes of its failures say what went wrong, and where."),
    "dying": gettext_lazy("See what they died of. Retry them once it is mended."),
    "retrying": gettext_lazy("A partner may be away: see what they failed with."),
    "schedule": gettext_lazy("Its page says what became of the due time, and the run's page what it waits for."),
    "workflow": gettext_lazy("Its page says which step waits, and for what."),
    "circuit": gettext_lazy("The partner keeps failing. Runs wait meanwhile and burn no attempt."),
    "recorder": gettext_lazy("See in the log of rqworker whether the database answers, and how long it takes."),
    "unpushed": gettext_lazy("See whether Redis answers, and whether an rqworker records."),
    "redis": gettext_lazy("Start the server, or correct its address. Jobs that are asked for meanwhile are kept."),
    "memory": gettext_lazy("Give the server more memory, or let workers catch up: a full one takes no more jobs."),
    "eviction": gettext_lazy("Set maxmemory-policy noeviction."),
    "unchecked": gettext_lazy("The log of the rqworker that looks says why. Nobody watches that part meanwhile."),
    "silence": gettext_lazy("See whether an rqworker runs. What went wrong meanwhile was told to nobody."),
}
# The page of the cure: names of its address, the first that there is, and what it is asked for.
_PAGES: dict[str, tuple[tuple[str, ...], str]] = {
    "waiting": (("admin:jobs_queuepause_changelist", "admin:jobs_jobrun_changelist"), ""),
    "wait": (("admin:jobs_queuepause_changelist", "admin:jobs_jobrun_changelist"), ""),
    "no_worker": (("admin:jobs_workerprocess_changelist", "admin:jobs_jobrun_changelist"), ""),
    "paused": (("admin:jobs_queuepause_changelist", "admin:jobs_jobrun_changelist"), ""),
    "failing": (("admin:jobs_failurecause_changelist",), "q"),
    "dying": (("admin:jobs_deadjob_changelist",), ""),
    "retrying": (("admin:jobs_jobrun_waiting",), ""),
    "schedule": (("admin:jobs_schedule_changelist",), "q"),
    "workflow": (("admin:jobs_workflow_changelist",), ""),
    "circuit": (("admin:jobs_circuitsandlocks_changelist",), ""),
    "unpushed": (("admin:jobs_jobrun_changelist",), ""),
}


def title(incident: Incident) -> str:
    """What is wrong, in a few words."""
    return str(_TITLES.get(incident.kind, incident.kind)) % {"scope": incident.scope}


def headline(incident: Incident) -> str:
    """What is wrong, with its number against the limit."""
    if not limit(incident):
        return title(incident)
    facts = {"title": title(incident), "value": value(incident), "limit": limit(incident)}
    return _("%(title)s: %(value)s (limit %(limit)s)") % facts


def name(kind: str) -> Text:
    """What a rule looks at."""
    return NAMES.get(kind, kind)


def cure(incident: Incident) -> str:
    """What to do about it."""
    return str(_CURES.get(incident.kind, ""))


def value(incident: Incident) -> str:
    """How it stands."""
    return quantity(incident.kind, incident.value)


def worst(incident: Incident) -> str:
    """How bad it was."""
    return quantity(incident.kind, incident.worst)


def limit(incident: Incident) -> str:
    """What it is measured by."""
    return quantity(incident.kind, incident.limit)


def quantity(kind: str, number: float) -> str:
    """A value or a limit of a rule, with its unit; empty for what is so or not."""
    unit = KINDS[kind].unit if kind in KINDS else "fact"
    if unit == "seconds":
        return duration(number)
    if unit == "percent":
        return _("%(number)s %%") % {"number": f"{number:.3g}" if number < 100 else f"{number:.0f}"}
    return "" if unit == "fact" else number_format(round(number), force_grouping=True)


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = round(seconds)
    units = ((86_400, _("%d d")), (3600, _("%d h")), (60, _("%d min")), (1, _("%d s")))
    parts = []
    for size, words in units:
        count, whole = divmod(whole, size)
        if count:
            parts.append(words % count)
    return " ".join(parts[:2]) or _("%d s") % 0


def cure_path(incident: Incident) -> str:
    """The page on which it can be mended; its own page where there is no other."""
    names, query = _PAGES.get(incident.kind, ((), ""))
    for each in names:
        try:
            path = reverse(each)
        except NoReverseMatch:
            continue
        return f"{path}?{urlencode({query: incident.scope})}" if query else path
    return path_of(incident)


def path_of(incident: Incident) -> str:
    """The incident's page, or that of all where it has none; empty where the project has no admin."""
    try:
        if incident.pk is None:
            return reverse("admin:jobs_incident_changelist")
        return reverse("admin:jobs_incident_change", args=[incident.pk])
    except NoReverseMatch:
        return ""


def facts(incident: Incident) -> dict[str, Any]:
    """The incident as plain data, for hooks and webhooks."""
    return {
        "incident": incident.pk,
        "rule": incident.rule,
        "severity": incident.severity,
        "title": title(incident),
        "value": incident.value,
        "worst": incident.worst,
        "limit": incident.limit,
        "detail": incident.detail,
        "opened_at": incident.opened_at.isoformat(),
        "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
    }

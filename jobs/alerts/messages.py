"""Messages: what people are told of one incident, or of some at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.alerts import choices, wording
from jobs.models import Incident, IncidentNotice
from jobs.models.alerts import NoticeKind


@dataclass(frozen=True)
class Told:
    """One incident as a message tells of it. `id` is the same however often it is sent."""

    id: str
    kind: str
    headline: str
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """What a channel sends: a subject, and what it tells."""

    subject: str
    told: Sequence[Told]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n\n".join(each.text for each in self.told)


def of(notices: Sequence[IncidentNotice]) -> Message:
    """One message for notices that are due together."""
    told = [_told(notice) for notice in notices]
    subject = told[0].headline
    if more := len(told) - 1:
        subject += " " + ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}
    # A mail's subject is one line.
    return Message(" ".join(subject.split())[:300], told)


def unwatched(seconds: float, why: str) -> Message:
    """That the rules cannot be looked at: sent without a row, for there is no database to have one."""
    facts = {"time": wording.duration(seconds), "why": why}
    headline = _("[critical] Alert rules have not been looked at for %(time)s") % facts
    text = _("%(headline)s.\n%(why)s\nUntil they are, nobody is told of what goes wrong.") % {
        **facts,
        "headline": headline,
    }
    told = Told("unwatched", NoticeKind.OPENED, headline, text, {"rule": "silence", "severity": "critical"})
    return Message(headline, [told])


def _told(notice: IncidentNotice) -> Told:
    incident = notice.incident
    mark = f"incident-{incident.pk}-{notice.kind}-{notice.number}"
    facts = {"notice": notice.kind, **wording.facts(incident), "link": _link(wording.path_of(incident))}
    lines = [_headline(notice), *_lines(notice)]
    return Told(mark, notice.kind, lines[0], "\n".join(line for line in lines if line), facts)


def _headline(notice: IncidentNotice) -> str:
    incident = notice.incident
    if notice.kind == NoticeKind.CLOSED:
        return _("[closed] %(title)s") % {"title": wording.title(incident)}
    mark = _("still %(severity)s") if notice.kind == NoticeKind.REMINDER else "%(severity)s"
    return f"[{mark % {'severity': incident.get_severity_display()}}] {wording.headline(incident)}"


def _lines(notice: IncidentNotice) -> list[str]:
    incident = notice.incident
    if notice.kind == NoticeKind.CLOSED:
        return [*_end(incident), _page(incident)]
    return [
        incident.detail,
        _("Since %(when)s, for %(time)s.") % {"when": _moment(incident.opened_at), "time": _length(incident)},
        _("At its worst: %(worst)s.") % {"worst": wording.worst(incident)} if _was_worse(incident) else "",
        wording.cure(incident),
        _("Where to look: %(link)s") % {"link": link} if (link := _link(wording.cure_path(incident))) else "",
        _page(incident),
    ]


def _end(incident: Incident) -> list[str]:
    facts = {
        "since": _moment(incident.opened_at),
        "until": _moment(incident.closed_at),
        "time": _length(incident),
        "why": incident.closed_why,
    }
    said = [_("It lasted from %(since)s to %(until)s, %(time)s: %(why)s.") % facts]
    if worst := wording.worst(incident):
        said.append(
            _("At its worst: %(worst)s (limit %(limit)s).") % {"worst": worst, "limit": wording.limit(incident)}
        )
    return said


def _was_worse(incident: Incident) -> bool:
    return bool(wording.worst(incident)) and incident.worst > incident.value


def _page(incident: Incident) -> str:
    link = _link(wording.path_of(incident))
    return _("The incident: %(link)s") % {"link": link} if link else ""


def _link(path: str) -> str:
    base = choices.get().site_url.rstrip("/")
    return f"{base}{path}" if base and path else ""


def _length(incident: Incident) -> str:
    until = incident.closed_at or timezone.now()
    return wording.duration(max(0.0, (until - incident.opened_at).total_seconds()))


def _moment(at: Any) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S %Z}" if at else ""

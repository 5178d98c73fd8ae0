"""The parts of the console, in their groups, and which of them a person may open. A new page takes its line here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

VIEW_CONSOLE = "jobs.view_console"
VIEW_AUDIT = "jobs.view_audit"
OVERVIEW = "admin:jobs_overview"


@dataclass(frozen=True)
class Section:
    """A part of the console: what it is called, its page, and what opens it."""

    label: str | Promise
    page: str
    permission: str = VIEW_CONSOLE


@dataclass(frozen=True)
class Link:
    """A section as a page leads to it. `current` is `page` on its own page, `true` on one below it, else empty."""

    label: str | Promise
    address: str
    current: str


Groups = list[tuple[str | Promise, list[Link]]]

GROUPS: tuple[tuple[str | Promise, tuple[Section, ...]], ...] = (
    (
        _("Now"),
        (
            Section(_("Overview"), OVERVIEW),
            Section(_("Queues"), "admin:jobs_queuepause_changelist"),
            Section(_("Workers"), "admin:jobs_workerprocess_changelist"),
            Section(_("Alerts"), "admin:jobs_incident_changelist"),
        ),
    ),
    (
        _("Runs"),
        (
            Section(_("Jobs"), "admin:jobs_jobrun_changelist"),
            Section(_("Scheduled and retries"), "admin:jobs_jobrun_waiting"),
            Section(_("Dead jobs"), "admin:jobs_deadjob_changelist"),
            Section(_("Failures"), "admin:jobs_failurecause_changelist"),
            Section(_("Bulk actions"), "admin:jobs_bulkaction_changelist"),
        ),
    ),
    (
        _("Plans"),
        (
            Section(_("Schedules"), "admin:jobs_schedule_changelist"),
            Section(_("Batches"), "admin:jobs_batch_changelist"),
            Section(_("Workflows"), "admin:jobs_workflow_changelist"),
        ),
    ),
    (
        _("Guards"),
        (
            Section(_("Circuits and locks"), "admin:jobs_circuitsandlocks_changelist"),
            Section(_("Fuses"), "admin:jobs_fuse_changelist"),
            Section(_("Effects"), "admin:jobs_effect_changelist"),
            Section(_("Sent e-mails"), "admin:jobs_sentemail_changelist"),
        ),
    ),
    (
        _("History"),
        (
            Section(_("Metrics"), "admin:jobs_metricminute_changelist"),
            Section(_("Audit"), "admin:jobs_auditentry_changelist", VIEW_AUDIT),
        ),
    ),
)


def open_to(request: HttpRequest) -> Groups:
    """The groups with the sections that this person may open; the one whose page it is, or is above it, is marked."""
    there = [(label, list(_addressed(request, sections))) for label, sections in GROUPS]
    fitting = (address for _label, links in there for _section, address in links if request.path.startswith(address))
    above = max(fitting, key=len, default="")

    def linked(section: Section, address: str) -> Link:
        return Link(section.label, address, _mark(section, address, above, request.path))

    return [(label, [linked(*link) for link in links]) for label, links in there if links]


def _addressed(request: HttpRequest, sections: tuple[Section, ...]) -> Iterator[tuple[Section, str]]:
    for section in sections:
        if not request.user.has_perm(section.permission):
            continue
        try:
            yield section, reverse(section.page)
        except NoReverseMatch:
            # A project may do without the app of this page, or have taken it off its site.
            continue


def _mark(section: Section, address: str, above: str, path: str) -> str:
    if address == path:
        return "page"
    # The overview's address is above all others.
    return "true" if address == above and section.page != OVERVIEW else ""

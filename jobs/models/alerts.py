"""Incidents, who was told of them, what people changed in the rules, and when the rules were last looked at."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.policy.alert_rules import text_of


class Severity(models.TextChoices):
    """How bad it is while a rule's limit is passed."""

    CRITICAL = "critical", _("critical")
    WARNING = "warning", _("warning")


class NoticeKind(models.TextChoices):
    """What a notice says of its incident."""

    OPENED = "opened", _("opened")
    REMINDER = "reminder", _("reminder")
    CLOSED = "closed", _("closed")


class AlertRule(models.Model):
    """What people changed of a rule: null and empty are what the code says.

    `kind` is what is looked at and `scope` what it is looked at of: a queue, a job, a schedule or a circuit, by name;
    empty for all of them that have no rule of their own, and where there is only one. Without a row, the code's holds.
    """

    kind = models.CharField(_("kind"), max_length=40)
    scope = models.CharField(_("of"), max_length=200, blank=True)
    limit = models.FloatField(_("limit"), null=True)
    for_seconds = models.FloatField(_("for"), null=True, help_text="Seconds that it must last before it is an incident")
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices, blank=True)
    is_on = models.BooleanField(_("on"), null=True)
    silenced_until = models.DateTimeField(_("silenced until"), null=True)
    edited_at = models.DateTimeField(_("edited"))
    edited_by = models.CharField(_("by"), max_length=200)

    class Meta:
        verbose_name = _("alert rule")
        verbose_name_plural = _("alert rules")
        ordering = ["kind", "scope"]
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["kind", "scope"], name="jobs_alert_rule_once")]

    def __str__(self) -> str:
        return f"alert rule {self.kind} {self.scope}".rstrip()


class Incident(models.Model):
    """A rule's limit that is passed, from `opened_at` until `closed_at`. One rule and scope has one open at a time.

    `kind` and `scope` are what was found wrong; `value` is as it was last seen, `worst` as it was at its worst.
    `told_at` is when notices were last made, `times_told` how often; none is made while it is silenced, and no
    reminder once it is acknowledged. `calm` counts the checks in a row that found it under its limit.
    """

    kind = models.CharField(_("kind"), max_length=40)
    scope = models.CharField(_("of"), max_length=200, blank=True)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity.choices)
    value = models.FloatField(_("value"))
    worst = models.FloatField(_("worst"))
    limit = models.FloatField(_("limit"))
    detail = models.CharField(_("in words"), max_length=500, blank=True)
    opened_at = models.DateTimeField(_("since"))
    seen_at = models.DateTimeField(_("last seen"))
    calm = models.PositiveIntegerField(default=0)
    told_at = models.DateTimeField(_("told"), null=True)
    times_told = models.PositiveIntegerField(default=0)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True)
    acknowledged_by = models.CharField(_("by"), max_length=200, blank=True)
    silenced_until = models.DateTimeField(_("silenced until"), null=True)
    closed_at = models.DateTimeField(_("closed"), null=True)
    closed_why = models.CharField(_("why"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("alerts")
        ordering = ["-id"]
        default_permissions = ()
        permissions = [("manage_alerts", "Can edit alert rules, and acknowledge and silence incidents")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope"], name="jobs_incident_once_a_time", condition=Q(closed_at__isnull=True)
            ),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="jobs_incident_severity_known"),
        ]
        indexes = [
            models.Index(fields=["-id"], name="jobs_incident_open", condition=Q(closed_at__isnull=True)),
            models.Index(fields=["closed_at"], name="jobs_incident_closed", condition=Q(closed_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"incident {self.pk}"

    @property
    def rule(self) -> str:
        """The rule as settings and commands write it, such as `waiting:critical`."""
        return text_of(self.kind, self.scope)


class IncidentNotice(models.Model):
    """One message about an incident for one channel: made with the change that it tells of, sent after that.

    1. Made. `try_at` is when to send it, and `number` how many reminders there were.
    2. Claimed by who sends it: `try_at` moves to when another one may, should this one die.
    3. Sent, or failed: `error` says why, and `try_at` when it is tried again. Null: nothing more is done with it.
    """

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notices")
    channel = models.CharField(_("channel"), max_length=20)
    kind = models.CharField(_("kind"), max_length=10, choices=NoticeKind.choices)
    number = models.PositiveIntegerField(default=0)
    made_at = models.DateTimeField(_("made"))
    try_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    sent_at = models.DateTimeField(_("sent"), null=True)
    error = models.CharField(_("error"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("notice of an incident")
        verbose_name_plural = _("notices of incidents")
        ordering = ["id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["incident", "channel", "kind", "number"], name="jobs_notice_once"),
            models.CheckConstraint(condition=Q(kind__in=NoticeKind.values), name="jobs_notice_kind_known"),
        ]
        indexes = [models.Index(fields=["try_at"], name="jobs_notice_due", condition=Q(try_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.kind} by {self.channel} of incident {self.incident_id}"


class AlertCheck(models.Model):
    """When the rules were last looked at, and whose turn it is: one row.

    Who looks takes the turn by moving `due_at`; `turn` is new with each, and what an earlier one found is not stored.
    `notes` is what the next look needs of this one: since when each limit is passed, and how many retried lately.
    """

    due_at = models.DateTimeField()
    turn = models.CharField(max_length=64, blank=True)
    checked_at = models.DateTimeField(_("last check"), null=True)
    checked_by = models.CharField(_("by"), max_length=200, blank=True)
    took_ms = models.PositiveIntegerField(_("took"), null=True)
    problems = models.JSONField(default=dict, help_text="What could not be looked at, and why")
    notes = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("check of the alert rules")
        verbose_name_plural = _("checks of the alert rules")
        default_permissions = ()

    def __str__(self) -> str:
        return f"alert rules were checked at {self.checked_at}"

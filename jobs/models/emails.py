"""Markers of e-mails that may be sent once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.models.markers import CLAIMED, Marker


class EmailState(models.TextChoices):
    CLAIMED = CLAIMED, _("claimed")
    SENT = "sent", _("sent")


class SentEmail(Marker):
    """One e-mail that may be sent once: claimed before the server is asked, sent after it said yes."""

    DONE = "sent"
    DONE_AT = "sent_at"
    IDENTITY = ("kind", "recipient", "key")

    kind = models.CharField(_("kind"), max_length=100)
    recipient = models.CharField(_("recipient"), max_length=254)
    key = models.CharField(_("key"), max_length=200, help_text="What it is about, such as an order's number")
    state = models.CharField(_("state"), max_length=10, choices=EmailState.choices, default=EmailState.CLAIMED)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    message_id = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True)

    class Meta:
        verbose_name = _("sent e-mail")
        verbose_name_plural = _("sent e-mails")
        ordering = ["-id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["kind", "recipient", "key"], name="jobs_email_once"),
            models.CheckConstraint(
                condition=Q(state="claimed", sent_at__isnull=True) | Q(state="sent", sent_at__isnull=False),
                name="jobs_email_sent_at_iff_sent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.recipient} ({self.state})"

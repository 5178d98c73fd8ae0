"""Issues of the newsletter."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Issue(models.Model):
    """One letter to all readers. Once `sending_at` is set, its words do not change any more.

    How far it is, its batch knows. What came of it is kept here when all of them have ended.
    """

    subject = models.CharField(max_length=150)
    text = models.TextField()
    written_by = models.CharField(max_length=150)
    written_at = models.DateTimeField("written", default=timezone.now)
    is_ready = models.BooleanField("ready", default=False, help_text="It goes out with the next weekly mailing")
    sending_at = models.DateTimeField("sending since", null=True)
    readers = models.PositiveIntegerField(default=0, help_text="How many were on the list when the sending began")
    asked = models.PositiveIntegerField(default=0, help_text="Of how many readers letters were asked for")
    asked_up_to = models.BigIntegerField(default=0, help_text="The key of the last of them")
    finished_at = models.DateTimeField("finished", null=True)
    sent = models.PositiveIntegerField(default=0)
    left = models.PositiveIntegerField(default=0, help_text="Readers who left the list before it was their turn")
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-pk"]
        permissions = [("send_issue", "Can write and send issues of the newsletter")]

    def __str__(self) -> str:
        return self.subject

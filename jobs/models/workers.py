"""Processes of workers as they were last seen, and the releases that they ran."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class WorkerProcess(models.Model):
    """One process that runs jobs, as it last beat: what is shown of it while Redis is away.

    `name` stays when the process is replaced; all else is of its present life. `done` and `failed` are the attempts
    that it settled in this life.
    """

    name = models.CharField(_("process"), max_length=200, unique=True)
    host = models.CharField(_("host"), max_length=200)
    supervisor = models.CharField(_("supervisor"), max_length=250, blank=True, help_text="Its id")
    kind = models.CharField(_("kind"), max_length=10, help_text="child, or alone: for suspects")
    pid = models.PositiveIntegerField(default=0)
    queues = models.JSONField(_("queues"), default=list)
    threads = models.PositiveIntegerField(_("threads"), default=0)
    busy = models.PositiveIntegerField(_("busy"), default=0)
    state = models.CharField(_("state"), max_length=20, blank=True)
    release = models.CharField(_("release"), max_length=100, blank=True)
    rss = models.PositiveBigIntegerField(_("memory"), default=0, help_text="Bytes")
    done = models.PositiveIntegerField(_("done"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    asked = models.CharField(_("asked"), max_length=10, blank=True, help_text="quiet or stop; empty: nothing")
    asked_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(_("started"), null=True)
    seen_at = models.DateTimeField(_("last beat"), db_index=True)

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["host", "supervisor", "name"]
        default_permissions = ()
        permissions = [
            ("quiet_worker", "Can let workers claim no more"),
            ("stop_worker", "Can stop workers"),
        ]

    def __str__(self) -> str:
        return self.name


class WorkerRelease(models.Model):
    """One release that workers ran: when it was first and last seen. Its first sight is a deploy."""

    release = models.CharField(_("release"), max_length=100, unique=True)
    first_seen_at = models.DateTimeField(_("first seen"), db_index=True)
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        default_permissions = ()
        ordering = ["first_seen_at"]

    def __str__(self) -> str:
        return self.release

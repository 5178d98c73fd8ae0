"""What a measured job leaves behind."""

from __future__ import annotations

from django.db import models


class Wish(models.Model):
    """What a caller wrote in the transaction in which it enqueued a job of this key."""

    key = models.PositiveIntegerField(unique=True)

    class Meta:
        app_label = "bench"
        default_permissions = ()

    def __str__(self) -> str:
        return f"wish {self.key}"


class Effect(models.Model):
    """The effect of one job: written in the job's own transaction, and there once."""

    key = models.PositiveIntegerField(unique=True)

    class Meta:
        app_label = "bench"
        default_permissions = ()

    def __str__(self) -> str:
        return f"effect {self.key}"

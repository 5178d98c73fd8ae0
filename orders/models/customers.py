"""Who buys, and who reads the newsletter."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Newsletter(models.TextChoices):
    """How a customer stands with the newsletter. What was asked for is not yet at the list provider."""

    NONE = "none", "not asked for"
    ASKED = "asked", "asked for"
    ON_LIST = "on_list", "on the list"
    INVALID = "invalid", "address refused"
    LEFT = "left", "left"


class Customer(models.Model):
    """One buyer or reader, known by an e-mail address that is stored in lower case.

    Who only reads the newsletter has no name yet.
    """

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField("since", default=timezone.now, editable=False)
    newsletter = models.CharField(max_length=10, choices=Newsletter.choices, default=Newsletter.NONE)
    newsletter_problem = models.CharField(
        max_length=200, blank=True, help_text="Why the list provider refuses the address, in its words"
    )
    newsletter_at = models.DateTimeField("newsletter since", null=True, help_text="When it came to stand so")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(newsletter="invalid") | models.Q(newsletter_problem=""),
                name="orders_customer_problem_only_when_invalid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email

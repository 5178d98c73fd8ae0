"""Bring the demo's database, static files, accounts and goods up to date. `demo` runs it at each start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from orders.demo.accounts import create_accounts
from orders.demo.life import give_life
from orders.seed import seed


class Command(BaseCommand):
    help = "Migrate, collect static files, create the demo's accounts and stock the shop. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        create_accounts(settings.VAR_DIR)
        seed()
        give_life()

"""Run the shop, its workers and its partners with one command."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.core.management.color import supports_color

from orders.demo import keepsakes
from orders.demo.addresses import find_addresses
from orders.demo.guard import guarded
from orders.demo.launcher import Launch, launch
from orders.demo.output import Output
from orders.demo.processes import end_when_parent_ends


class Command(BaseCommand):
    help = (
        "Run the whole product here: Valkey, partners, worker and web server, on loopback addresses. "
        "Uses REDIS_URL and DATABASE_URL when they are set. Stop it with Ctrl-C; what it stores is kept."
    )
    # They would only delay it: the set-up that it starts runs them.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="The shop's port. Without it: 8000, or the next one that is free.")
        parser.add_argument(
            "--end-with-parent",
            action="store_true",
            help="Stop when the process that started this one ends, however it ends.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["end_with_parent"]:
            end_when_parent_ends()
        folder = keepsakes.private_folder(settings.VAR_DIR)
        keepsakes.lock(folder)
        output = Output(self.stdout, coloured=self._is_coloured(options))
        addresses = find_addresses(options["port"])
        wanted = Launch(settings.BASE_DIR, folder, addresses, told_in=settings.DEMO_ADDRESSES)
        with addresses.told_in(settings.DEMO_ADDRESSES):
            status = guarded(lambda: launch(wanted, output))
        if status != 0:
            sys.exit(status if status > 0 else 128 - status)

    def _is_coloured(self, options: dict[str, Any]) -> bool:
        return options["force_color"] or (not options["no_color"] and supports_color())

"""`manage.py partners NAME`: runs one of the demo's partners."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from orders.partners.door import PortTaken
from orders.partners.events import Post
from orders.partners.gateway import Gateway
from orders.partners.lists import Lists
from orders.partners.running import run_until_stopped
from orders.partners.service import DAY_SECONDS, Service
from orders.partners.warehouse import Warehouse

PORTS = {"payments": 8101, "warehouse": 8102, "mailbox": 8103, "lists": 8104}


class Command(BaseCommand):
    help = "Run one of the demo's partners in the foreground, on 127.0.0.1 only. SIGTERM stops it."
    requires_system_checks: list[str] = []  # they take longer than the partner's own start

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=sorted(PORTS))
        parser.add_argument("--port", type=int, help="HTTP port; 0 takes a free one. Default: 8101, 8102, 8103, 8104.")
        parser.add_argument("--smtp-port", type=int, default=2525, help="The mailbox's SMTP port.")
        parser.add_argument(
            "--folder",
            type=Path,
            default=settings.VAR_DIR / "partners",
            help="Where its data is kept. Default: var/partners.",
        )
        parser.add_argument(
            "--key-life",
            type=float,
            default=DAY_SECONDS,
            metavar="SECONDS",
            help="How long idempotency keys live. Default: a day.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            service = _service(**options)
        except PortTaken as error:
            raise CommandError(str(error)) from error
        run_until_stopped(service, say=self._say)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _service(*, name: str, port: int | None, smtp_port: int, folder: Path, key_life: float, **_: Any) -> Service:
    port = PORTS[name] if port is None else port
    if name == "mailbox":
        # Only the mailbox pays for importing the SMTP server.
        from orders.partners.mailbox import Mailbox

        return Mailbox(folder, port=port, smtp_port=smtp_port)
    if name == "lists":
        return Lists(folder, port=port)
    if name == "warehouse":
        return Warehouse(folder, port=port, key_life_seconds=key_life)
    return Gateway(folder, port=port, key_life_seconds=key_life, post=_post())


def _post() -> Post | None:
    """Where the gateway's events go; nowhere while there is no secret to sign them with."""
    if not settings.PAYMENTS_WEBHOOK_SECRET:
        return None
    return Post(settings.SITE_URL.rstrip("/") + reverse("payments_webhook"), settings.PAYMENTS_WEBHOOK_SECRET)

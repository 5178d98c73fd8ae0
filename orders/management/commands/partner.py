"""`manage.py partner NAME`: shows how a partner of the demo is, or tells it to behave otherwise."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orders.partners import control
from orders.partners.modes import MODES, Mode


class Command(BaseCommand):
    help = "Show a partner of the demo, or break and heal it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", choices=list(control.PARTNERS))
        parser.add_argument("--mode", choices=list(MODES), help="How to behave; ok heals.")
        parser.add_argument(
            "--times", type=int, help="For how many requests; then it is healthy again. Default: until told."
        )
        parser.add_argument(
            "--seconds",
            type=float,
            help="How late `slow` answers and what `rate_limit` asks to wait (2 unless given); how long the"
            " time-outs hold the caller before the connection drops (unless given: until it gives up).",
        )

    def handle(self, *, name: str, mode: str | None, times: int | None, seconds: float | None, **_: Any) -> None:
        partner = control.PARTNERS[name]
        if mode is None and (times is not None or seconds is not None):
            raise CommandError("--times and --seconds say how a mode behaves. Add --mode.")
        try:
            if mode is not None:
                control.set_mode(partner, Mode(mode, seconds, times))
            self._show(partner, control.state(partner, limit=0))
        except (control.PartnerAway, control.ModeRefused) as error:
            raise CommandError(str(error)) from error

    def _show(self, partner: control.Partner, state: control.State) -> None:
        self.stdout.write(f"{partner.title} at {partner.url}")
        self.stdout.write(f"mode: {state.mode.in_words}")
        self.stdout.write(f"{partner.entries}: {state.count}")
        endings = ", ".join(f"{ending}: {count}" for ending, count in sorted(state.endings.items()))
        self.stdout.write(f"requests since it started: {endings or 'none'}")

"""`manage.py jobs_doctor`: looks a deployment over, and says what to change."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from jobs.health import doctor

_FOUND = 1


class Command(BaseCommand):
    """Exit status: 0 nothing is to be changed, 1 something is, 2 asked wrongly."""

    help = (
        "Look a deployment over: settings, Redis, database, clocks, permissions, workers and what waits. "
        "Says what to change, why it matters, and how. Changes nothing."
    )
    # They are among what it looks at, and may ask the database, which may be away.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        found = doctor.examine()
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not found, "findings": [asdict(one) for one in found]}))
        else:
            self.stdout.write(_in_words(found))
        if found:
            sys.exit(_FOUND)


def _in_words(found: list[doctor.Finding]) -> str:
    if not found:
        return "Nothing is to be changed."
    parts = [f"{one.level.upper()} {one.id}: {one.what}\n  why:  {one.why}\n  cure: {one.cure}" for one in found]
    return "\n\n".join(parts)

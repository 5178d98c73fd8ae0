"""`manage.py seed`: fill the shop's shelves."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from orders.seed import seed


class Command(BaseCommand):
    help = "Put the demo's products and customers in the shop. Running it again changes no stock and no orders."

    def handle(self, *args: Any, **options: Any) -> None:
        counts = seed()
        self.stdout.write(
            f"The shop has {counts['products']} products and {counts['customers']} customers to begin with."
        )

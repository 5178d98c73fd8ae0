"""What a new demo has gone through already, so that its pages are not empty. What is new in it happens as jobs."""

from __future__ import annotations

import contextlib
import uuid
from datetime import timedelta

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from jobs import schedules
from orders import checkout, exports, issues, stock_files, subscribing
from orders.checkout import Address, Item
from orders.demo import past
from orders.demo.accounts import OPERATOR
from orders.jobs import cut_export, import_stock, make_daily_report, make_monthly_report
from orders.models import Order, Product
from orders.partners import control
from orders.partners.modes import Mode
from orders.periods import month_before

READERS = ("ada@example.com", "bruno@example.com", "dora@example.invalid")
OPERATOR_EMAIL = "operator@example.com"
_ORDER_KEY = uuid.UUID("5eed0000-0000-4000-8000-000000000001")
_ADDRESS = Address(recipient="Ada Winter", street="Werkstraße 12", postcode="10115", city="Berlin")
_ASKED_OF_GATEWAY = Mode("webhook_twice", times=1)
_REPORTED_DAYS = 7
_STOCK = b"sku;name;quantity\nJS-106;Hard hat;12\nJS-111;Vacuum flask;two boxes\nJS-999;Anvil;1\nJS-104;Pencils;30\n"
_ISSUE = (
    "A hard hat, and other news",
    "The hard hats are back, twelve of them.\n\nThe vacuum flask is not. We hear that it is kept warm.",
)


def give_life() -> None:
    """Three readers ask for the newsletter, one with an address that is refused; Ada buys two mugs, and the gateway
    tells each of its events twice. The office has a past to report on. Only where nobody has bought anything yet."""
    if Order.objects.exists():
        return
    for email in READERS:
        subscribing.sign_up(email)
    # The demo starts the gateway first; elsewhere it may be missing, and tells once.
    with contextlib.suppress(control.PartnerAway, control.ModeRefused):
        control.set_mode(control.PARTNERS["payments"], _ASKED_OF_GATEWAY)
    mugs = Item(Product.objects.get(slug="enamel-mug"), 2)
    checkout.place_order(key=_ORDER_KEY, items=[mugs], email=READERS[0], address=_ADDRESS, card="tok_visa")
    past.remember(timezone.now())
    _furnish_office()


def _furnish_office() -> None:
    """Reports of a week and of a month, an export, a stock file with bad lines, and a draft of an issue."""
    today = timezone.localdate()
    _run_nightly_report()
    make_daily_report.enqueue_many(((today - timedelta(days=days)).isoformat(),) for days in range(1, _REPORTED_DAYS))
    make_monthly_report.enqueue(month_before(today))
    exports.ask(today - past.SPAN, today, username=OPERATOR, email=OPERATOR_EMAIL, on_asked=cut_export.enqueue)
    upload = SimpleUploadedFile("delivery-17.csv", _STOCK)
    stock_files.accept(upload, username=OPERATOR, on_accepted=import_stock.enqueue)
    subject, text = _ISSUE
    issues.write(subject=subject, text=text, username=OPERATOR, is_ready=False)


def _run_nightly_report() -> None:
    """Have the schedule run once by hand, or it would have no tick to show until the night."""
    schedules.sync(actor="demo")
    nightly = next(line.schedule for line in schedules.lines() if line.schedule.job == make_daily_report.name)
    schedules.run_now(nightly, actor=OPERATOR, reason="The demo is new: it has no report of yesterday.")

"""An order's invoice: a number without gaps, and a file that is made once. What it looks like is in `invoice_pdf`."""

from __future__ import annotations

from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import transaction
from django.utils import timezone

from jobs.locks import lock
from orders.invoice_facts import Facts, Line
from orders.models import Invoice, InvoiceCounter, Order

SALT = "orders.invoice"


def make(order_id: int) -> None:
    """Give a paid order its number and its file. It has both, or is not paid: nothing to do.

    Under a lock, for two that draw one file at once would write it twice. The number is a row's, so it holds
    without the lock too.
    """
    with lock(f"invoice:{order_id}", wait=10) as held:
        order = Order.objects.filter(pk=order_id, paid_at__isnull=False).first()
        if order is None:
            return
        invoice = number(order)
        if invoice.file:
            return
        # What draws weighs 8 MB and half a second: only processes that make invoices should bear that.
        from orders import invoice_pdf

        pdf = invoice_pdf.draw(_facts(invoice, order))
        held.check()
        _keep(invoice, pdf)


@transaction.atomic
def number(order: Order) -> Invoice:
    """The order's invoice, numbered now or before. A number is used up only with the row that has it."""
    year = timezone.now().year
    InvoiceCounter.objects.get_or_create(year=year)
    # Whoever else wants a number waits here until this one is committed, or rolled back and free again.
    counter = InvoiceCounter.objects.select_for_update().get(year=year)
    if earlier := Invoice.objects.filter(order=order).first():
        return earlier
    counter.last += 1
    counter.save(update_fields=["last"])
    return Invoice.objects.create(order=order, year=year, position=counter.last)


def made_for(order: Order) -> Invoice | None:
    """The invoice, once there is a file."""
    return Invoice.objects.filter(order=order).exclude(file="").first()


def token(order: Order) -> str:
    """What the link in the letter carries, so that it opens where the basket was not filled."""
    return signing.dumps(order.number, salt=SALT)


def opens(order: Order, token: str) -> bool:
    """Whether the token is of this order."""
    try:
        return bool(signing.loads(token, salt=SALT) == order.number)
    except signing.BadSignature:
        return False


def _keep(invoice: Invoice, pdf: bytes) -> None:
    storage: Storage = invoice.file.storage
    name = f"invoices/{invoice.number}.pdf"
    # An attempt that died before it said so may have left one.
    storage.delete(name)
    Invoice.objects.filter(pk=invoice.pk).update(file=storage.save(name, ContentFile(pdf)))


def _facts(invoice: Invoice, order: Order) -> Facts:
    assert order.paid_at is not None
    return Facts(
        number=invoice.number,
        dated=invoice.numbered_at.date(),
        order_number=order.number,
        address=(order.recipient, order.street, f"{order.postcode} {order.city}", order.get_country_display()),
        lines=[
            Line(line.product.sku, line.product.name, line.quantity, line.unit_price_cents)
            for line in order.lines.select_related("product")
        ],
        paid_on=order.paid_at.date(),
    )

"""The words of each e-mail, as messages ready to send. Sends nothing."""

from __future__ import annotations

from email.utils import parseaddr
from zlib import crc32

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from orders import exports, invoices, newsletter
from orders.models import Customer, Export, Issue, Order, Payment, Stall


def welcome(customer: Customer) -> EmailMultiAlternatives:
    return _letter(
        "welcome",
        to=customer.email,
        subject=f"Welcome, {customer.name}",
        about=f"customer-{customer.pk}",
        customer=customer,
    )


def newsletter_welcome(customer: Customer) -> EmailMultiAlternatives:
    token = newsletter.leaving_token(customer)
    return _letter(
        "newsletter_welcome",
        to=customer.email,
        subject="You are on our list",
        about=f"customer-{customer.pk}-{customer.newsletter_at:%Y%m%d%H%M%S}",
        customer=customer,
        leave_url=_absolute(reverse("newsletter_leave", args=[token])),
    )


def confirmation(order: Order) -> EmailMultiAlternatives:
    invoice_url = _absolute(reverse("order_invoice_by_letter", args=[order.number, invoices.token(order)]))
    return _order_letter("order_confirmation", order, f"Your order {order.number}", invoice_url=invoice_url)


def shipped(order: Order) -> EmailMultiAlternatives:
    return _order_letter("shipping_notification", order, f"Your order {order.number} is on its way")


def payment_failed(payment: Payment) -> EmailMultiAlternatives:
    order = payment.order
    return _letter(
        "payment_failed",
        to=order.customer.email,
        subject=f"Your order {order.number} needs another card",
        about=f"{order.number}-{payment.number}",
        order=order,
        problem=payment.problem,
        pay_url=_absolute(reverse("order_pay", args=[order.number])),
    )


def operator_alert(order: Order, problem: str) -> EmailMultiAlternatives:
    return _letter(
        "operator_alert",
        to=settings.OPERATORS_EMAIL,
        subject=f"Order {order.number} cannot be delivered",
        about=f"{order.number}-{crc32(problem.encode())}",
        order=order,
        problem=problem,
        admin_url=_absolute(reverse("admin:orders_order_change", args=[order.pk])),
    )


def newsletter_issue(issue: Issue, reader: Customer) -> EmailMultiAlternatives:
    leave_url = _absolute(reverse("newsletter_leave", args=[newsletter.leaving_token(reader)]))
    letter = _letter(
        "newsletter_issue",
        to=reader.email,
        subject=issue.subject,
        about=f"issue-{issue.pk}-customer-{reader.pk}",
        issue=issue,
        customer=reader,
        leave_url=leave_url,
    )
    # Mail programs show a button for it.
    letter.extra_headers["List-Unsubscribe"] = f"<{leave_url}>"
    return letter


def export_ready(export: Export) -> EmailMultiAlternatives:
    return _letter(
        "export_ready",
        to=export.email,
        subject=f"Your export of orders, {export.first_day} to {export.last_day}",
        about=f"export-{export.pk}",
        export=export,
        file_url=_absolute(reverse("staff_export_file", args=[export.pk, exports.token(export)])),
        days=exports.LINK_LIFE.days,
    )


def stalled(stall: Stall) -> EmailMultiAlternatives:
    return _letter(
        "order_stalled",
        to=settings.OPERATORS_EMAIL,
        subject=f"Order {stall.order.number} stands still",
        about=f"{stall.order.number}-{stall.step.replace(' ', '-')}",
        stall=stall,
        order=stall.order,
        admin_url=_absolute(reverse("admin:orders_order_change", args=[stall.order_id])),
    )


def _order_letter(template: str, order: Order, subject: str, **context: object) -> EmailMultiAlternatives:
    return _letter(
        template,
        to=order.customer.email,
        subject=subject,
        about=order.number,
        order=order,
        lines=order.lines.select_related("product"),
        order_url=_absolute(order.get_absolute_url()),
        **context,
    )


def _letter(template: str, *, to: str, subject: str, about: str, **context: object) -> EmailMultiAlternatives:
    context["shop_url"] = settings.SITE_URL
    letter = EmailMultiAlternatives(
        subject,
        render_to_string(f"emails/{template}.txt", context),
        to=[to],
        headers={"Message-ID": _message_id(template, about)},
    )
    letter.attach_alternative(render_to_string(f"emails/{template}.html", context), "text/html")
    return letter


def _message_id(template: str, about: str) -> str:
    # The same each time, so that a letter sent again after a crash shows as one in the reader's mailbox.
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return f"<{template}.{about}@{domain}>"


def _absolute(path: str) -> str:
    return settings.SITE_URL.rstrip("/") + path

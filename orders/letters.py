"""The words of each e-mail, as messages ready to send. Sends nothing."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from orders.models import Customer, Order, Payment


def welcome(customer: Customer) -> EmailMultiAlternatives:
    return _letter(customer.email, f"Welcome, {customer.name}", "welcome", customer=customer)


def confirmation(order: Order) -> EmailMultiAlternatives:
    return _order_letter(order, f"Your order {order.number}", "order_confirmation")


def shipped(order: Order) -> EmailMultiAlternatives:
    return _order_letter(order, f"Your order {order.number} is on its way", "shipping_notification")


def payment_failed(payment: Payment) -> EmailMultiAlternatives:
    order = payment.order
    return _letter(
        order.customer.email,
        f"Your order {order.number} needs another card",
        "payment_failed",
        order=order,
        problem=payment.problem,
        pay_url=_absolute(reverse("order_pay", args=[order.number])),
    )


def operator_alert(order: Order, problem: str) -> EmailMultiAlternatives:
    return _letter(
        settings.OPERATORS_EMAIL,
        f"Order {order.number} cannot be delivered",
        "operator_alert",
        order=order,
        problem=problem,
        admin_url=_absolute(reverse("admin:orders_order_change", args=[order.pk])),
    )


def _order_letter(order: Order, subject: str, template: str) -> EmailMultiAlternatives:
    return _letter(
        order.customer.email,
        subject,
        template,
        order=order,
        lines=order.lines.select_related("product"),
        order_url=_absolute(order.get_absolute_url()),
    )


def _letter(recipient: str, subject: str, template: str, **context: object) -> EmailMultiAlternatives:
    context["shop_url"] = settings.SITE_URL
    letter = EmailMultiAlternatives(subject, render_to_string(f"emails/{template}.txt", context), to=[recipient])
    letter.attach_alternative(render_to_string(f"emails/{template}.html", context), "text/html")
    return letter


def _absolute(path: str) -> str:
    return settings.SITE_URL.rstrip("/") + path

"""The shop's pages. Each reads, or calls one service and redirects."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import conditional_page, require_http_methods, require_POST, require_safe

from orders import aftercare, checkout, newsletter, subscribing, timeline
from orders.basket import MAX_QUANTITY, Basket, total_cents
from orders.charging import PaymentNotNeeded
from orders.forms import AddressForm, CardForm, CheckoutForm, NewsletterForm, QuantityForm
from orders.invoice_views import may_see_invoice, remember
from orders.models import Customer, Newsletter, Order, Product
from orders.order_runs import runs_of

# The tone is the name of a colour in the style sheet.
NEWSLETTER_WORDS = {
    Newsletter.NONE: ("waiting", "Nothing was asked for."),
    Newsletter.ASKED: ("working", "We are telling our list provider."),
    Newsletter.ON_LIST: ("done", "You are on the list. A letter with a link to leave it is on its way."),
    Newsletter.INVALID: ("problem", "{problem} Please look at the address and try again."),
    Newsletter.LEFT: ("waiting", "You have left the list."),
}


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for it on pages that name no icon, such as the admin's."""
    return redirect(static("shop/mark.svg"))


@require_safe
def product_list(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/product_list.html", {"products": Product.objects.all()})


@require_safe
def product(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "shop/product.html", {"product": get_object_or_404(Product, slug=slug)})


@require_safe
def basket(request: HttpRequest) -> HttpResponse:
    items = list(Basket(request.session))
    context = {"items": items, "total": total_cents(items), "most": MAX_QUANTITY}
    return render(request, "shop/basket.html", context)


@require_POST
def basket_add(request: HttpRequest, slug: str) -> HttpResponse:
    wanted = get_object_or_404(Product, slug=slug)
    form = QuantityForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Choose a quantity from 1 to {MAX_QUANTITY}.")
        return redirect("product", slug=slug)
    Basket(request.session).add(wanted, form.cleaned_data["quantity"])
    messages.success(request, f"{wanted.name}: in your basket.")
    return redirect("basket")


@require_POST
def basket_change(request: HttpRequest, slug: str) -> HttpResponse:
    form = QuantityForm(request.POST)
    if form.is_valid():
        Basket(request.session).put(get_object_or_404(Product, slug=slug), form.cleaned_data["quantity"])
    else:
        messages.error(request, f"Choose a quantity from 0 to {MAX_QUANTITY}.")
    return redirect("basket")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def check_out(request: HttpRequest) -> HttpResponse:
    if earlier := _order_made_already(request):
        return redirect(earlier)
    filled = Basket(request.session)
    items = list(filled)
    if not items:
        return redirect("basket")
    total = total_cents(items)
    form = CheckoutForm(request.POST or None, total=total, initial={"key": filled.key, "country": "DE"})
    if request.method == "POST" and form.is_valid():
        order = _place(form, items)
        filled.clear()
        remember(request, order)
        if form.cleaned_data["newsletter"]:
            request.session["reader"] = order.customer_id
        return redirect(order)
    return render(request, "shop/checkout.html", {"form": form, "items": items, "total": total})


@never_cache
@require_safe
def order_page(request: HttpRequest, number: str) -> HttpResponse:
    order = _order(number)
    lines = order.lines.select_related("product")
    return render(request, "shop/order.html", _progress(request, order) | {"lines": lines})


@require_safe
@conditional_page
def order_progress(request: HttpRequest, number: str) -> HttpResponse:
    """The part of the order's page that changes, with an ETag: asking again costs 304 and no body."""
    response = render(request, "shop/_progress.html", _progress(request, _order(number)))
    response["Cache-Control"] = "private, no-cache"
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def order_pay(request: HttpRequest, number: str) -> HttpResponse:
    order = _order(number)
    form = CardForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        _pay_again(request, order, form.cleaned_data["card"])
        return redirect(order)
    return render(request, "shop/pay.html", {"order": order, "form": form})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def order_address(request: HttpRequest, number: str) -> HttpResponse:
    order = _order(number)
    initial = {name: getattr(order, name) for name in AddressForm.base_fields}
    form = AddressForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        if not aftercare.correct_address(order, form.address):
            messages.info(request, "The warehouse needs no other address for this order.")
        return redirect(order)
    return render(request, "shop/address.html", {"order": order, "form": form})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("orders.ship_order", raise_exception=True)
def order_ship(request: HttpRequest, number: str) -> HttpResponse:
    order = _order(number)
    if request.method != "POST":
        return render(request, "shop/ship.html", {"order": order})
    if not aftercare.hand_to_carrier(order):
        messages.info(request, "The order is not ready for the carrier, or gone already.")
    return redirect(order)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def newsletter_page(request: HttpRequest) -> HttpResponse:
    form = NewsletterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        request.session["reader"] = subscribing.sign_up(form.cleaned_data["email"]).pk
        return redirect("newsletter")
    return render(request, "shop/newsletter.html", {"form": form, **_reader(request)})


@require_safe
@conditional_page
def newsletter_state(request: HttpRequest) -> HttpResponse:
    """The part of the newsletter's page that changes: how the address stands that this browser asked for."""
    response = render(request, "shop/_newsletter.html", _reader(request))
    response["Cache-Control"] = "private, no-cache"
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def newsletter_leave(request: HttpRequest, token: str) -> HttpResponse:
    """Asks on GET, for mail programs follow links; does on POST."""
    reader = newsletter.customer_of(token)
    if reader is None:
        raise Http404("This link leads to nobody.")
    if request.method == "POST" and subscribing.leave(reader):
        messages.success(request, "You are off the list.")
        return redirect("newsletter_leave", token=token)
    return render(request, "shop/newsletter_leave.html", {"reader": reader, "has_it": newsletter.has_it(reader)})


def _reader(request: HttpRequest) -> dict[str, Any]:
    reader = Customer.objects.filter(pk=request.session.get("reader", 0)).first()
    if reader is None:
        return {}
    tone, headline = NEWSLETTER_WORDS[Newsletter(reader.newsletter)]
    return {
        "reader": reader,
        "tone": tone,
        "headline": headline.format(problem=reader.newsletter_problem),
        "is_moving": reader.newsletter == Newsletter.ASKED,
    }


def _order(number: str) -> Order:
    return get_object_or_404(Order.objects.select_related("customer", "invoice"), number=number.upper())


def _order_made_already(request: HttpRequest) -> Order | None:
    """The order of an earlier sending of this form; a double click comes when the basket is empty again."""
    try:
        key = uuid.UUID(request.POST.get("key", ""))
    except ValueError:
        return None
    return Order.objects.filter(checkout_key=key).first()


def _place(form: CheckoutForm, items: list[checkout.Item]) -> Order:
    return checkout.place_order(
        key=form.cleaned_data["key"],
        items=items,
        email=form.cleaned_data["email"],
        address=form.address,
        card=form.cleaned_data["card"],
        newsletter=form.cleaned_data["newsletter"],
    )


def _progress(request: HttpRequest, order: Order) -> dict[str, Any]:
    runs = runs_of(order)
    steps = timeline.steps(order, runs.latest_by_job())
    return {
        "order": order,
        "steps": steps,
        "headline": timeline.headline(steps),
        "is_moving": timeline.is_moving(steps) or any(run.is_active for run in runs),
        "runs": runs,
        "has_invoice": has_file(order) and may_see_invoice(request, order),
        "may_ship": order.is_ready_to_ship and request.user.has_perm("orders.ship_order"),
        "may_see_console": request.user.has_perm("jobs.view_console"),
    }


def has_file(order: Order) -> bool:
    return hasattr(order, "invoice") and bool(order.invoice.file)


def _pay_again(request: HttpRequest, order: Order, card: str) -> None:
    try:
        aftercare.pay_again(order, card=card)
    except PaymentNotNeeded:
        messages.info(request, "This order needs no other card now.")

"""The staff's pages. They ask the partners over HTTP, and say so when one does not answer."""

import logging
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from orders.partners import control

from .forms import ModeForm

logger = logging.getLogger(__name__)

# All staff may look; changing something takes this.
BREAK_PARTNER = "orders.break_partner"
ENTRIES_SHOWN = 8
MAILS_SHOWN = 100
# A mail may style itself and show what it carries along. It runs, loads, sends and opens nothing.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"


@dataclass(frozen=True)
class Card:
    """One partner on the page; `state` and `form` are missing when it does not answer, and `problem` says so."""

    partner: control.Partner
    state: control.State | None = None
    form: ModeForm | None = None
    problem: str = ""


@staff_member_required
@require_GET
def partners(request: HttpRequest) -> HttpResponse:
    return _partners_page(request)


@staff_member_required
@permission_required(BREAK_PARTNER, raise_exception=True)
@require_POST
def set_mode(request: HttpRequest, name: str) -> HttpResponse:
    partner = _partner(name)
    form = ModeForm(request.POST, modes=partner.modes, auto_id=f"{name}-%s")
    if not form.is_valid():
        return _partners_page(request, refused={name: form})
    try:
        control.set_mode(partner, form.wish())
    except (control.PartnerAway, control.ModeRefused) as error:
        messages.error(request, str(error))
    else:
        _tell(request, partner, form)
    return redirect("staff_partners")


@staff_member_required
@permission_required(BREAK_PARTNER, raise_exception=True)
@require_http_methods(["GET", "POST"])
def refund(request: HttpRequest, charge: str) -> HttpResponse:
    """Asks on GET, does on POST. The shop is told by the gateway's event, as of any refund."""
    if request.method != "POST":
        return render(request, "orders/staff/refund.html", {"charge": charge})
    try:
        control.refund(charge)
    except control.NoSuchCharge as error:
        raise Http404("There is no such charge.") from error
    except control.PartnerAway as away:
        messages.error(request, str(away))
    else:
        logger.info("charge refunded", extra={"charge": charge, "actor": str(request.user)})
        messages.success(request, "The gateway gives the money back, and tells the shop.")
    return redirect("staff_partners")


@staff_member_required
@require_GET
def mailbox(request: HttpRequest) -> HttpResponse:
    partner = control.PARTNERS["mailbox"]
    try:
        context = {"partner": partner, "state": control.state(partner, limit=MAILS_SHOWN)}
    except control.PartnerAway as away:
        return _mailbox_away(request, away)
    return render(request, "orders/staff/mailbox.html", context)


@staff_member_required
@require_GET
def message(request: HttpRequest, message_id: str) -> HttpResponse:
    try:
        found = control.message(message_id)
    except control.NoSuchMessage as error:
        raise Http404("There is no such mail.") from error
    except control.PartnerAway as away:
        return _mailbox_away(request, away)
    return render(request, "orders/staff/message.html", {"mail": found})


@staff_member_required
@require_GET
@xframe_options_sameorigin
def message_html(request: HttpRequest, message_id: str) -> HttpResponse:
    """A mail's HTML as it came, for the sandboxed frame on the mail's page."""
    try:
        html = control.message(message_id)["html"]
    except control.NoSuchMessage as error:
        raise Http404("There is no such mail.") from error
    except control.PartnerAway as away:
        return HttpResponse(str(away), status=503, content_type="text/plain")
    return HttpResponse(html, headers={"Content-Security-Policy": MAIL_POLICY})


@staff_member_required
@permission_required(BREAK_PARTNER, raise_exception=True)
@require_http_methods(["GET", "POST"])
def clear_mailbox(request: HttpRequest) -> HttpResponse:
    """Asks on GET, does on POST."""
    try:
        if request.method == "POST":
            return _cleared(request)
        count = control.state(control.PARTNERS["mailbox"], limit=0).count
    except control.PartnerAway as away:
        return _mailbox_away(request, away)
    return render(request, "orders/staff/clear_mailbox.html", {"count": count})


def _partner(name: str) -> control.Partner:
    if name not in control.PARTNERS:
        raise Http404("There is no such partner.")
    return control.PARTNERS[name]


def _partners_page(request: HttpRequest, *, refused: dict[str, ModeForm] | None = None) -> HttpResponse:
    cards = [_card(partner, (refused or {}).get(partner.name)) for partner in control.PARTNERS.values()]
    status = 400 if refused else 200
    return render(request, "orders/staff/partners.html", {"cards": cards}, status=status)


def _card(partner: control.Partner, refused: ModeForm | None) -> Card:
    try:
        state = control.state(partner, limit=ENTRIES_SHOWN)
    except control.PartnerAway as away:
        return Card(partner, problem=str(away))
    form = ModeForm(initial=state.mode.as_dict(), modes=partner.modes, auto_id=f"{partner.name}-%s")
    return Card(partner, state, refused or form)


def _tell(request: HttpRequest, partner: control.Partner, form: ModeForm) -> None:
    logger.info(
        "partner told", extra={"partner": partner.name, "mode": form.wish().in_words, "actor": str(request.user)}
    )
    messages.success(request, f"{partner.title}: {form.wish().in_words}.")


def _cleared(request: HttpRequest) -> HttpResponse:
    control.clear_mailbox()
    logger.info("mailbox cleared", extra={"actor": str(request.user)})
    messages.success(request, "The mailbox is empty.")
    return redirect("staff_mailbox")


def _mailbox_away(request: HttpRequest, away: control.PartnerAway) -> HttpResponse:
    return render(request, "orders/staff/mailbox.html", {"partner": away.partner, "problem": str(away)}, status=503)

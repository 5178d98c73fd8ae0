"""`/metrics`: for a scraper with the token, and for staff who may see the console."""

from __future__ import annotations

import hmac
import logging

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs import conf
from jobs.exposition.families import text
from jobs.exposition.numbers import take

logger = logging.getLogger(__name__)

_was_told = False


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The numbers in Prometheus' format. 401 without the token; 404 where none is set."""
    if not _has_token(request) and not _is_operator(request):
        return _refusal()
    body, content_type = text(take(), request.headers.get("Accept", ""))
    response = HttpResponse(body, content_type=content_type)
    # It depends on who asks.
    response["Vary"] = "Authorization, Cookie, Accept"
    return response


def _has_token(request: HttpRequest) -> bool:
    token = conf.get().METRICS_TOKEN
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if not token or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(errors="replace"), token.encode(errors="replace"))


def _is_operator(request: HttpRequest) -> bool:
    try:
        user = getattr(request, "user", None)
        return user is not None and user.is_active and user.is_staff and user.has_perm("jobs.view_console")
    except Error:
        # Who they are is in the database, which is away.
        return False


def _refusal() -> HttpResponse:
    global _was_told
    if conf.get().METRICS_TOKEN:
        response = HttpResponse("The token is missing or wrong.\n", status=401, content_type="text/plain")
        response["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return response
    if not _was_told:
        _was_told = True
        logger.warning('/metrics was asked for, and there is no JOBS["METRICS_TOKEN"]: it answers 404 until one is set')
    return HttpResponse("Not found.\n", status=404, content_type="text/plain")

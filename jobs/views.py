"""What programs ask for: whether this process lives, and whether it can serve. People have the admin."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.health import readiness


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the process answers. Asks nothing of the database or of Redis: restart on this one."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database and Redis answer and no migration is missing, else 503: route traffic by this one."""
    told = readiness.parts()
    well = readiness.is_ready(told)
    return JsonResponse({"status": "ok" if well else "unavailable", **told}, status=200 if well else 503)

"""Where the payment partner's events come in. Stores them and answers; a job does the rest."""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from orders import webhooks
from orders.jobs import process_webhook

logger = logging.getLogger(__name__)


@csrf_exempt  # the signature stands for it
@require_POST
def payments_webhook(request: HttpRequest) -> HttpResponse:
    """200 once it is stored, also when it was before. 403 when nobody we know signed it, 413 when it is too long."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > webhooks.MAX_BODY_BYTES:
        return JsonResponse({"error": "too_long"}, status=413)
    try:
        _check(request)
    except webhooks.NotGenuine as error:
        logger.warning("webhook refused", extra={"reason": str(error), "address": request.META.get("REMOTE_ADDR")})
        return JsonResponse({"error": "not_genuine"}, status=403)
    webhooks.receive(request.body, on_new=process_webhook.enqueue)
    return JsonResponse({"status": "stored"})


def _check(request: HttpRequest) -> None:
    webhooks.check_signature(
        request.body,
        request.headers.get("Gateway-Signature", ""),
        secret=settings.PAYMENTS_WEBHOOK_SECRET,
        now=time.time(),
    )

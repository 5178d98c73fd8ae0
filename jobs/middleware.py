"""Django middleware: gives each request an id, which the runs that it asks for carry."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from jobs import context
from jobs.policy import correlating

HEADER = "X-Request-ID"


@sync_and_async_middleware
def correlation(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Let what a request enqueues and logs carry its id: what `X-Request-ID` says where that is well-formed, else a
    new one. The response says it in the same header."""
    if iscoroutinefunction(get_response):

        async def answer(request: HttpRequest) -> HttpResponseBase:
            with context.correlation(_id_of(request)) as name:
                return _named(await get_response(request), name)

        return answer

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with context.correlation(_id_of(request)) as name:
            return _named(get_response(request), name)

    return middleware


def _id_of(request: HttpRequest) -> str:
    told = request.headers.get(HEADER, "")
    return told if correlating.is_well_formed(told) else uuid.uuid4().hex


def _named(response: HttpResponseBase, name: str) -> HttpResponseBase:
    response.headers[HEADER] = name
    return response

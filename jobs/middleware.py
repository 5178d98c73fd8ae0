"""Django middleware: gives each request an id, which the runs that it asks for carry; and says in the admin that the
database is away."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.db import Error, InterfaceError, OperationalError, connections, router
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin

from jobs import context
from jobs.policy import correlating

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
# What drivers raise when no server is there; some of it also means other things.
_AWAY = (OperationalError, InterfaceError)
# When a browser may look again; the open pages of the console do so by themselves.
_AGAIN_SECONDS = "10"


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


class DatabaseAway(MiddlewareMixin):
    """Answers pages of the admin with 503 and a static text while the database does not answer.

    Users and their sessions are in the database, so no page could do more. An error of any other kind stays what it
    is: whether the database answers is asked, and not told by the error. It stands before the sessions' middleware.
    """

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """In place of an error of the database that a page met."""
        if not isinstance(exception, _AWAY) or not _is_admin(request):
            return None
        return _away(exception) if not _databases_answer() else None

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """In place of an error that another middleware met."""
        if response.status_code != 500 or not _is_admin(request) or _databases_answer():
            return response
        return _away(None)


def _is_admin(request: HttpRequest) -> bool:
    try:
        return "admin" in resolve(request.path_info).app_names
    except Resolver404:
        return False


def _databases_answer() -> bool:
    """Whether those of the users and of the runs do."""
    models = [apps.get_model(name) for name in ("auth.Permission", "jobs.JobRun")]
    return all(_answers(alias) for alias in {router.db_for_read(model) for model in models})


def _answers(alias: str) -> bool:
    connection = connections[alias]
    try:
        if not connection.in_atomic_block:
            # What is left of a connection that broke would not tell whether the server answers.
            connection.close_if_unusable_or_obsolete()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except _AWAY:
        return False
    except Error:
        # Such as that the transaction has failed already: somebody has said so.
        return True
    return True


def _away(error: Exception | None) -> HttpResponse:
    logger.error("the database does not answer: the admin is closed", extra={"error": str(error or "")})
    page = render_to_string("admin/jobs/database_away.html")
    return HttpResponse(page, status=503, headers={"Retry-After": _AGAIN_SECONDS, "Cache-Control": "no-store"})

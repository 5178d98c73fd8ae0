"""Answers a page's script: the parts that go on, as fragments, or 304 where nothing in them has changed."""

from __future__ import annotations

import re
from hashlib import blake2b
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from jobs.admin import shell

ASKED = "Jobs-Live"
# What differs each time and says nothing new: masks of the token against forgery, how long ago, the clock.
_VOLATILE = re.compile(
    r'(?<=name="csrfmiddlewaretoken" value=")[^"]*'
    r'|<span class="jobs-ago" data-at="[^<]*</span>'
    r"|<time[^>]* data-clock>[^<]*</time>"
)


def answer(request: HttpRequest, whole: HttpResponseBase) -> HttpResponseBase:
    """The page's live parts for the script that asks for them by their ids; the page itself for all others."""
    if ASKED not in request.headers or whole.status_code != HTTPStatus.OK:
        return whole
    content = "\n".join(getattr(request, "jobs_live_parts", []))
    # A part that is not there any more, or never was one, is looked for in the whole page.
    if not all(f'id="{part}"' in content for part in request.headers[ASKED].split()):
        return whole
    tag = f'"{blake2b(_VOLATILE.sub("", content).encode(), digest_size=12).hexdigest()}"'
    same = request.headers.get("If-None-Match") == tag
    answered = HttpResponse(status=HTTPStatus.NOT_MODIFIED) if same else HttpResponse(content)
    for name, value in {"ETag": tag, ASKED: "1", **_recorded()}.items():
        answered[name] = value
    return answered


def _recorded() -> dict[str, str]:
    """How far is recorded, which the script shows also where nothing else has changed."""
    up_to = shell.seen().recorded_up_to
    return {} if up_to is None else {"Jobs-Recorded": up_to.isoformat(timespec="seconds")}

"""Django 6's Content-Security-Policy middleware, for Django 5.2. Knows no nonces: no page of ours has inline code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Policy = Mapping[str, str | Sequence[str] | set[str] | bool | None]


class ContentSecurityPolicyMiddleware:
    """Sends the policies of the settings SECURE_CSP and SECURE_CSP_REPORT_ONLY.

    A view's own header stays as it is. An empty policy sends no header.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        policies = {
            "Content-Security-Policy": settings.SECURE_CSP,
            "Content-Security-Policy-Report-Only": getattr(settings, "SECURE_CSP_REPORT_ONLY", {}),
        }
        for header, policy in policies.items():
            if policy and header not in response:
                response.headers[header] = header_value(policy)
        return response


def header_value(policy: Policy) -> str:
    """The policy as a header's value.

    >>> header_value({"default-src": ["'self'"], "img-src": ["'self'", "data:"], "sandbox": True})
    "default-src 'self'; img-src 'self' data:; sandbox"
    """
    directives = (f"{name} {_sources(sources)}".rstrip() for name, sources in policy.items() if _is_sent(sources))
    return "; ".join(directives)


def _is_sent(sources: str | Sequence[str] | set[str] | bool | None) -> bool:
    return sources is True or bool(sources)


def _sources(sources: str | Sequence[str] | set[str] | bool | None) -> str:
    if sources is True or not sources:
        return ""
    if isinstance(sources, str):
        return sources
    # A set has no order; a header that changed with each process would spoil caches.
    return " ".join(sorted(sources) if isinstance(sources, set) else sources)

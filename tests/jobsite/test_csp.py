"""Pages carry the content security policy, by Django's own middleware or by ours, alike."""

from __future__ import annotations

import django
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from jobsite.csp import ContentSecurityPolicyMiddleware, Policy, header_value

POLICIES: list[tuple[Policy, str]] = [
    ({}, ""),
    ({"default-src": ["'self'"]}, "default-src 'self'"),
    ({"default-src": ("'self'", "data:")}, "default-src 'self' data:"),
    ({"default-src": "'none'"}, "default-src 'none'"),
    ({"img-src": {"data:", "'self'"}}, "img-src 'self' data:"),
    ({"sandbox": True, "img-src": False, "font-src": None, "style-src": []}, "sandbox"),
    ({"default-src": ["'self'"], "object-src": ["'none'"]}, "default-src 'self'; object-src 'none'"),
]


@pytest.mark.parametrize(("policy", "header"), POLICIES)
def test_a_policy_becomes_a_header(policy: Policy, header: str) -> None:
    assert header_value(policy) == header


if django.VERSION >= (6,):

    @pytest.mark.parametrize(("policy", "header"), POLICIES)
    def test_django_makes_the_same_header(policy: Policy, header: str) -> None:
        from django.utils.csp import build_policy

        assert build_policy(policy) == header


def through(response: HttpResponse) -> HttpResponse:
    def view(request: HttpRequest) -> HttpResponse:
        return response

    return ContentSecurityPolicyMiddleware(view)(RequestFactory().get("/"))


def test_a_view_may_send_a_policy_of_its_own() -> None:
    own = HttpResponse(headers={"Content-Security-Policy": "sandbox"})
    assert through(own).headers["Content-Security-Policy"] == "sandbox"


def test_a_policy_may_only_report(settings: Settings) -> None:
    settings.SECURE_CSP = {}
    settings.SECURE_CSP_REPORT_ONLY = {"default-src": ["'self'"]}
    headers = through(HttpResponse()).headers
    assert headers["Content-Security-Policy-Report-Only"] == "default-src 'self'"
    assert "Content-Security-Policy" not in headers


def test_every_page_forbids_foreign_code_and_frames(client: Client) -> None:
    policy = client.get("/healthz").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy

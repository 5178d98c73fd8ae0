"""Where mail goes, in the words of the Django that runs: `EMAIL_…` before 6.1, `MAILERS` from there on."""

from __future__ import annotations

from typing import Any

import django
from environ import Env

_TIMEOUT_SECONDS = 10
_OPTIONS = {
    "EMAIL_HOST": "host",
    "EMAIL_PORT": "port",
    "EMAIL_HOST_USER": "username",
    "EMAIL_HOST_PASSWORD": "password",
    "EMAIL_USE_TLS": "use_tls",
    "EMAIL_USE_SSL": "use_ssl",
}


def mail_settings(url: str) -> dict[str, Any]:
    """The settings that send mail to `url`, such as `smtp+tls://user:password@mail.example.com:587`."""
    parsed = Env.email_url_config(url)
    if django.VERSION < (6, 1):
        return {**parsed, "EMAIL_TIMEOUT": _TIMEOUT_SECONDS}
    options = {option: parsed[key] for key, option in _OPTIONS.items() if parsed.get(key)}
    if options:
        options["timeout"] = _TIMEOUT_SECONDS
    return {"MAILERS": {"default": {"BACKEND": parsed["EMAIL_BACKEND"], "OPTIONS": options}}}

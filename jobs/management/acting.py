"""Who acts when a command does, and why."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

_MISUSE = 2


def actor(command: str) -> str:
    """What the audit names: the command, and the system's user where there is one."""
    try:
        return f"{command} by {getpass.getuser()}"
    except (KeyError, OSError):
        return command


def takes_reason(parser: ArgumentParser) -> None:
    """Let a command be told why."""
    parser.add_argument("--reason", default="", help="why; kept in the audit")


def reason_given(options: Mapping[str, Any], *, kept: str = "in the audit") -> str:
    """Why, as the command was told. One that was not is refused, with status 2."""
    text = str(options["reason"]).strip()
    if not text:
        raise CommandError(f'Say why with --reason "…": it is kept {kept}.', returncode=_MISUSE)
    return text

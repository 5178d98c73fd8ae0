"""Who acts when a command does."""

from __future__ import annotations

import getpass


def actor(command: str) -> str:
    """What the audit names: the command, and the system's user where there is one."""
    try:
        return f"{command} by {getpass.getuser()}"
    except (KeyError, OSError):
        return command

"""Where the parts of the running demo are. Its launcher writes the file; the settings read it."""

from __future__ import annotations

import json
from pathlib import Path

_SCHEMES = ("http://", "smtp://", "unix://")


def running(path: Path) -> dict[str, str]:
    """The addresses in the file, by the names of their settings. None where no demo runs, or the file is damaged."""
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    items = told.items() if isinstance(told, dict) else ()
    return {name: url for name, url in items if isinstance(url, str) and url.startswith(_SCHEMES)}

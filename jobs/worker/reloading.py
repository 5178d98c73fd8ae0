"""Starts a command anew whenever the code changes. For development."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from django.utils import autoreload

_LOOK_SECONDS = 1.0
_STOP_SECONDS = 40.0


def run_with_reloading(arguments: list[str]) -> int:
    """Run `python ARGUMENTS`, and again after each change, until it is interrupted."""
    seen = _snapshot()
    process = _start(arguments)
    try:
        while True:
            time.sleep(_LOOK_SECONDS)
            now = _snapshot()
            if now != seen:
                seen = now
                _stop(process)
                process = _start(arguments)
    except KeyboardInterrupt:
        _stop(process)
        return 0


def _start(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *arguments], start_new_session=True)  # noqa: S603


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=_STOP_SECONDS)


def _snapshot() -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in autoreload.iter_all_python_module_files() if path.exists()}

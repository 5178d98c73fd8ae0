"""What the demo keeps in its folder between runs: secrets and a lock. Not the data of the parts."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from django.core.management.base import CommandError


def private_folder(path: Path) -> Path:
    """The folder, made if need be, open to nobody else."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def kept_secret(path: Path, *, random_bytes: int) -> str:
    """The text in `path`, readable by its owner only; generated if there is none."""
    if path.exists() and (text := path.read_text().strip()):
        return text
    text = secrets.token_urlsafe(random_bytes)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text + "\n")
    return text


def lock(folder: Path) -> None:
    """Claim `folder` for this process and its forks until the last of them ends.

    Raises `CommandError` (exit status 2) if another demo has it: two Valkey servers would spoil one file.
    """
    descriptor = os.open(folder / "demo.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(descriptor, 20, 0).decode() or "unknown"
        os.close(descriptor)
        raise CommandError(
            f"The demo is already running in {folder} (process {pid}). Stop it with Ctrl-C where it runs, "
            "or give this one a folder of its own: VAR_DIR=/tmp/another make run",
            returncode=2,
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)

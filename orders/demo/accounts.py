"""The people who may enter the demo's admin. Their passwords are generated, never fixed."""

from __future__ import annotations

from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from .keepsakes import kept_secret

OPERATOR = "operator"
VIEWER = "viewer"
USERNAMES = (OPERATOR, VIEWER)

_PASSWORD_BYTES = 12
_VIEWER_PERMISSIONS = ("view_console", "view_audit")


def password_path(folder: Path, username: str) -> Path:
    """The file that keeps a user's password."""
    return folder / f"{username}-password"


def create_accounts(folder: Path) -> None:
    """Make the accounts that are missing, with passwords kept in `folder`.

    The operator may do everything, the viewer may only look. An account that exists keeps its password.
    """
    users = get_user_model().objects
    if not users.filter(username=OPERATOR).exists():
        users.create_superuser(OPERATOR, _email(OPERATOR), _password(folder, OPERATOR))
    if not users.filter(username=VIEWER).exists():
        viewer = users.create_user(VIEWER, _email(VIEWER), _password(folder, VIEWER), is_staff=True)
        viewer.user_permissions.set(
            Permission.objects.filter(content_type__app_label="jobs", codename__in=_VIEWER_PERMISSIONS)
        )


def _email(username: str) -> str:
    return f"{username}@example.com"


def _password(folder: Path, username: str) -> str:
    return kept_secret(password_path(folder, username), random_bytes=_PASSWORD_BYTES)

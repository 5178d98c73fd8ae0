"""The people who may enter the demo's admin. Their passwords are generated, never fixed."""

from __future__ import annotations

from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from .keepsakes import kept_secret

OPERATOR = "operator"
VIEWER = "viewer"
USERNAMES = (OPERATOR, VIEWER)

_PASSWORD_BYTES = 12
# The roles of the console, which `migrate` made.
_ROLES = {OPERATOR: "Jobs admin", VIEWER: "Jobs viewer"}


def password_path(folder: Path, username: str) -> Path:
    """The file that keeps a user's password."""
    return folder / f"{username}-password"


def create_accounts(folder: Path) -> None:
    """Make the accounts that are missing, with passwords kept in `folder`.

    The operator may do everything, in the shop too; the viewer may only look. An account that exists keeps its
    password.
    """
    users = get_user_model().objects
    if not users.filter(username=OPERATOR).exists():
        operator = users.create_superuser(OPERATOR, _email(OPERATOR), _password(folder, OPERATOR))
        operator.groups.set(Group.objects.filter(name=_ROLES[OPERATOR]))
    if not users.filter(username=VIEWER).exists():
        viewer = users.create_user(VIEWER, _email(VIEWER), _password(folder, VIEWER), is_staff=True)
        viewer.groups.set(Group.objects.filter(name=_ROLES[VIEWER]))


def _email(username: str) -> str:
    return f"{username}@example.com"


def _password(folder: Path, username: str) -> str:
    return kept_secret(password_path(folder, username), random_bytes=_PASSWORD_BYTES)

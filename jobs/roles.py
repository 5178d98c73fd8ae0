"""The roles as groups: made after `migrate`, and from then on the project's own. Never takes a permission away."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import router, transaction

from jobs.policy import roles

# As the pages of the admin show them, beside the groups of the project.
GROUPS = {roles.VIEWER: "Jobs viewer", roles.OPERATOR: "Jobs operator", roles.ADMIN: "Jobs admin"}


def all_permissions() -> set[str]:
    """Every permission that the models of this version have."""
    return {name for model in installed.get_app_config("jobs").get_models() for name, _ in model._meta.permissions}


def after_migrate(app_config: AppConfig, *, using: str, apps: Any = installed, **kwargs: Any) -> None:
    """Make the groups that were never made, and give each what it was never given.

    1. `RoleGrant` remembers what each group was given. A permission that is new in this version is not among it.
    2. A group that we made and is gone was removed or renamed by somebody: it is not made again.
    3. A group of that name that somebody else made is left as it is.
    """
    found = _models(apps, using)
    if found is None:
        return
    # Auth does this for each app too, and may come after us.
    create_permissions(app_config, verbosity=0, using=using, apps=apps)
    with transaction.atomic(using=using):
        _give(*found, using=using)


def _models(apps: Any, using: str) -> tuple[Any, Any, Any] | None:
    """The models of groups, permissions and grants; None where they are not in this database, or not yet."""
    try:
        found = (
            apps.get_model("auth", "Group"),
            apps.get_model("auth", "Permission"),
            apps.get_model("jobs", "RoleGrant"),
        )
    except LookupError:
        return None
    return found if all(router.allow_migrate_model(using, model) for model in found) else None


def _give(group_model: Any, permission_model: Any, grant_model: Any, *, using: str) -> None:
    given = defaultdict(set)
    for role, codename in grant_model.objects.using(using).values_list("role", "codename"):
        given[role].add(codename)
    wanted = {role: roles.to_give(role, given=given[role]) for role in roles.ROLES}
    known = dict(
        permission_model.objects.using(using)
        .filter(content_type__app_label="jobs", codename__in=frozenset().union(*wanted.values()))
        .values_list("codename", "pk")
    )
    if not known:
        return
    groups = _groups(group_model, given, using=using)
    links = group_model.permissions.through
    links.objects.using(using).bulk_create(
        [
            links(group_id=groups[role], permission_id=known[codename])
            for role, codenames in wanted.items()
            for codename in codenames & known.keys()
            if role in groups
        ],
        ignore_conflicts=True,
    )
    grant_model.objects.using(using).bulk_create(
        [
            grant_model(role=role, codename=name)
            for role, names in wanted.items()
            for name in sorted(names & known.keys())
        ]
    )


def _groups(group_model: Any, given: dict[str, set[str]], *, using: str) -> dict[str, int]:
    """The groups that are ours to give to, by role: those we made, and those we make now."""
    there = dict(group_model.objects.using(using).filter(name__in=GROUPS.values()).values_list("name", "pk"))
    groups = {role: there[name] for role, name in GROUPS.items() if given[role] and name in there}
    for role, name in GROUPS.items():
        if not given[role] and name not in there:
            groups[role] = group_model.objects.using(using).create(name=name).pk
    return groups

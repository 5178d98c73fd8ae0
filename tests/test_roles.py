"""Roles are groups that we make once. What people change of them stays changed."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission

from jobs import roles
from jobs.models import RoleGrant
from jobs.policy.roles import LEAST_ROLE, ROLES, permissions_of
from tests.docs.pages import ROOT, table

pytestmark = pytest.mark.django_db


def migrated() -> None:
    """What `migrate` ends with."""
    roles.after_migrate(apps.get_app_config("jobs"), using="default")


def held_by(role: str) -> set[str]:
    return set(Group.objects.get(name=roles.GROUPS[role]).permissions.values_list("codename", flat=True))


def made() -> set[str]:
    return {name for model in apps.get_app_config("jobs").get_models() for name, _ in model._meta.permissions}


def test_every_permission_has_its_role() -> None:
    assert made() - LEAST_ROLE.keys() == set()


def test_the_guide_tells_the_role_of_every_permission() -> None:
    told = table(ROOT / "docs" / "security.md", first_header="permission")
    assert told == [[f"`jobs.{name}`", role] for name, role in LEAST_ROLE.items()]


@pytest.mark.parametrize("role", ROLES)
def test_migrate_makes_a_group_of_each_role(role: str) -> None:
    assert held_by(role) == permissions_of(role) & made()


def test_to_migrate_again_changes_nothing() -> None:
    before = RoleGrant.objects.count()
    migrated()
    assert RoleGrant.objects.count() == before
    assert Group.objects.count() == len(ROLES)


def test_what_somebody_took_from_a_group_stays_away() -> None:
    operators = Group.objects.get(name="Jobs operator")
    operators.permissions.remove(Permission.objects.get(codename="discard_job"))
    migrated()
    assert "discard_job" not in held_by("operator")


def test_what_somebody_added_to_a_group_stays() -> None:
    Group.objects.get(name="Jobs viewer").permissions.add(Permission.objects.get(codename="requeue_job"))
    migrated()
    assert "requeue_job" in held_by("viewer")


def test_a_permission_that_is_new_reaches_its_groups() -> None:
    RoleGrant.objects.filter(codename="cancel_job").delete()
    for group in Group.objects.all():
        group.permissions.remove(Permission.objects.get(codename="cancel_job"))
    migrated()
    assert "cancel_job" not in held_by("viewer")
    assert "cancel_job" in held_by("operator") & held_by("admin")


def test_a_group_that_somebody_removed_or_renamed_is_not_made_again() -> None:
    Group.objects.filter(name="Jobs viewer").delete()
    Group.objects.filter(name="Jobs admin").update(name="Chiefs")
    migrated()
    assert set(Group.objects.values_list("name", flat=True)) == {"Jobs operator", "Chiefs"}


def test_a_group_of_that_name_that_somebody_made_gets_nothing() -> None:
    Group.objects.all().delete()
    RoleGrant.objects.all().delete()
    Group.objects.create(name="Jobs admin")
    migrated()
    assert held_by("admin") == set()
    assert held_by("operator") == permissions_of("operator") & made()

"""Searches are kept under a name: one's own, or shared; and who could stop runs before still can."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection

from jobs import saved_views
from jobs.models import AuditEntry, SavedView


def test_a_view_of_ones_own_is_seen_by_nobody_else() -> None:
    saved_views.save(" Late\n charges", "?q=waited:>30s", owner="7", actor="ada")
    saved_views.save("All dead", "state=dead", owner="7", shared=True, actor="ada")
    assert [view.name for view in saved_views.seen_by("7")] == ["Late charges", "All dead"]
    assert [view.name for view in saved_views.seen_by("8")] == ["All dead"]


def test_only_what_others_see_is_audited() -> None:
    saved_views.save("mine", "q=a", owner="7", actor="ada")
    assert not AuditEntry.objects.exists()
    view = saved_views.save("ours", "q=a", owner="7", shared=True, actor="ada")
    saved_views.rename(view, "all of ours", actor="bob")
    saved_views.delete(view, actor="eve")
    actions = list(AuditEntry.objects.order_by("pk").values_list("actor", "action", "target"))
    assert actions == [
        ("ada", "save shared view", "view ours"),
        ("bob", "rename shared view", "view all of ours"),
        ("eve", "delete shared view", "view all of ours"),
    ]


def test_a_name_is_taken_once_and_a_second_search_of_it_replaces_the_first() -> None:
    saved_views.save("late", "q=a", owner="7", actor="ada")
    saved_views.save("late", "q=b", owner="7", actor="ada")
    other = saved_views.save("other", "q=c", owner="7", actor="ada")
    assert SavedView.objects.get(name="late").query == "q=b"
    with pytest.raises(saved_views.BadView, match="already"):
        saved_views.rename(other, "late", actor="ada")


@pytest.mark.parametrize(
    ("name", "query"), [("", "q=a"), ("x" * 61, "q=a"), ("empty", "?"), ("long", "q=" + "a" * 2000)]
)
def test_what_is_no_name_or_no_search_is_refused(name: str, query: str) -> None:
    with pytest.raises(saved_views.BadView):
        saved_views.save(name, query, owner="7", actor="ada")


def test_there_are_no_more_than_a_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MOST", 1)
    saved_views.save("one", "q=a", owner="7", actor="ada")
    saved_views.save("one", "q=b", owner="7", actor="ada")
    with pytest.raises(saved_views.BadView, match="Delete"):
        saved_views.save("two", "q=a", owner="7", actor="ada")


def test_whoever_could_cancel_before_may_stop_now() -> None:
    cancel = Permission.objects.get(codename="cancel_job")
    Permission.objects.filter(codename="stop_job").delete()
    group, user = Group.objects.create(name="operators"), User.objects.create_user("ada")
    group.permissions.add(cancel)
    user.user_permissions.add(cancel)
    bystander = User.objects.create_user("bob")
    migration = importlib.import_module("jobs.migrations.0034_saved_views")
    migration.let_cancellers_stop(apps, SimpleNamespace(connection=connection))
    assert group.permissions.filter(codename="stop_job").exists()
    assert user.has_perm("jobs.stop_job")
    assert not bystander.has_perm("jobs.stop_job")

"""The verbs for searches that are kept under a name: save, rename, delete. They run no search."""

from __future__ import annotations

from django.db import IntegrityError, router, transaction
from django.db.models import QuerySet

from jobs import audit
from jobs.errors import JobsError
from jobs.models import SavedView

# More than that nobody finds anything in, and a page shows them all.
MOST = 50


class BadView(JobsError):
    """The search cannot be kept like that."""


def seen_by(owner: str) -> QuerySet[SavedView]:
    """A person's own, and those that are shared, by name."""
    return SavedView.objects.filter(owner__in=["", owner]).order_by("-owner", "name")


def save(name: str, query: str, *, owner: str, shared: bool = False, actor: str, address: str = "") -> SavedView:
    """Keep a search under a name, in place of the one that had it. Raises `BadView` where there is no name, no search,
    or there are too many.
    """
    name, query = _checked(name), query.lstrip("?")
    if not query or len(query) > 2000:
        raise BadView("There is nothing to save: search for something first, in fewer than 2,000 characters.")
    whose = "" if shared else owner
    with transaction.atomic(using=router.db_for_write(SavedView)):
        before = SavedView.objects.select_for_update().filter(owner=whose, name=name).first()
        if before is None and SavedView.objects.filter(owner=whose).count() >= MOST:
            raise BadView(f"There are {MOST} saved searches already. Delete one that nobody needs.")
        facts = {"query": query, "made_by": actor[:200]}
        view, _ = SavedView.objects.update_or_create(owner=whose, name=name, defaults=facts)
        _record("save", view, actor=actor, address=address, before={"search": before.query} if before else None)
    return view


def rename(view: SavedView, name: str, *, actor: str, address: str = "") -> None:
    """Give it another name. Raises `BadView` where another one has it."""
    before, view.name = view.name, _checked(name)
    try:
        with transaction.atomic(using=router.db_for_write(SavedView)):
            view.save(update_fields=["name"])
            _record("rename", view, actor=actor, address=address, before={"name": before})
    except IntegrityError as error:
        raise BadView(
            f'There is a saved search "{view.name}" already. Take another name, or delete that one.'
        ) from error


def delete(view: SavedView, *, actor: str, address: str = "") -> None:
    """Forget it; the runs stay as they are."""
    with transaction.atomic(using=router.db_for_write(SavedView)):
        _record("delete", view, actor=actor, address=address, before={"search": view.query})
        view.delete()


def _checked(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= 60:
        raise BadView("A saved search wants a name of 1 to 60 characters.")
    return name


def _record(word: str, view: SavedView, *, actor: str, address: str, before: dict[str, str] | None) -> None:
    # What is a person's own changes nothing for anybody else.
    if view.is_shared:
        audit.record(
            actor=actor,
            action=f"{word} shared view",
            target=f"view {view.name}",
            before=before,
            after={"name": view.name, "search": view.query} if word != "delete" else None,
            address=address,
        )

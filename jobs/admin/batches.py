"""The pages about batches: the list, and one batch with how far it is, what stands within it and what can be done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.admin import access
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import COUNT_CAP, capped_counts, key_or_none, page_of
from jobs.models import AuditEntry, Batch, BatchSlice, JobRun, RunState
from jobs.models.batches import OPEN_BATCH_STATES, BatchState
from jobs.models.runs import PENDING_STATES

SHOWN_SLICES = 5
SHOWN_AUDIT = 20
# A tree is shown so deep and with so many branches, and says so when there are more.
SHOWN_DEPTH = 4
SHOWN_NESTED = 100
_EVENTS = (("death", "on_death"), ("complete", "on_complete"), ("success", "on_success"))


@dataclass(frozen=True)
class Callback:
    """What is enqueued when something happened to a batch, and when it was."""

    event: str
    job: str
    told_at: Any


@dataclass
class Shown:
    """A batch as its pages show it, from its own counts: no member is looked at."""

    batch: Batch
    # Members of slices that its total does not have yet.
    fresh: int = 0
    nested_count: int = 0
    nested: list[Shown] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.batch.total + self.fresh

    @property
    def pending(self) -> int:
        return max(self.total - self.batch.ended, 0)

    @property
    def is_open(self) -> bool:
        return self.batch.state in OPEN_BATCH_STATES

    @property
    def counts(self) -> Iterator[tuple[str, int, str]]:
        """(state, how many members, the list of these) of each end that there is."""
        for state in (RunState.SUCCEEDED, RunState.DEAD, RunState.DISCARDED, RunState.CANCELLED):
            if count := getattr(self.batch, state.value):
                yield state.value, count, self.dead_members if state == RunState.DEAD else self.members(state.value)

    @property
    def pending_members(self) -> str:
        return self.members(",".join(PENDING_STATES))

    @property
    def dead_members(self) -> str:
        """Those that are dead, where they can be retried."""
        return f"{reverse('admin:jobs_deadjob_changelist')}?batch={self.batch.pk}"

    def members(self, state: str = "") -> str:
        """The list of its members in a state."""
        address = f"{reverse('admin:jobs_jobrun_changelist')}?batch={self.batch.pk}"
        return f"{address}&state={state}" if state else address

    @property
    def callbacks(self) -> list[Callback]:
        found = [(event, getattr(self.batch, name), getattr(self.batch, f"{event}_told_at")) for event, name in _EVENTS]
        return [Callback(event, prepared.get("job", ""), at) for event, prepared, at in found if prepared]


class BatchAdmin(ConsoleAdmin):
    """Batches: how far each is, what follows of it, and what keeps that from following."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("<int:pk>/", self.batch_page, "change", False),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = {name: text for name in ("state", "name") if (text := request.GET.get(name, "").strip()[:200])}
        page = page_of(
            _rows(asked).select_related("within"),
            older=key_or_none(request.GET.get("older"), int),
            newer=key_or_none(request.GET.get("newer"), int),
        )
        rows = _shown(page.rows)
        return self.page(
            request,
            "batches.html",
            title=_("Batches"),
            asked=asked,
            page=page,
            rows=rows,
            is_live=any(each.is_open for each in rows),
            states=_state_counts(),
        )

    def batch_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        batch = get_object_or_404(Batch.objects.select_related("within"), pk=key_or_none(str(pk), int))
        tree, more_nested = _tree(batch)
        return self.page(
            request,
            "batch.html",
            title=_("Batch %(number)s") % {"number": batch.pk},
            batch=batch,
            shown=tree,
            more_nested=more_nested,
            has_parent=batch.parent and JobRun.objects.filter(pk=batch.parent).exists(),
            audit_entries=_audit_of(batch) if access.may(request, access.VIEW_AUDIT) else None,
            **_slices_of(batch),
        )


def _rows(asked: Mapping[str, str]) -> QuerySet[Batch]:
    """Those asked for; with nothing asked for, those that stand within no other."""
    rows = Batch.objects.all()
    if not asked:
        return rows.filter(within__isnull=True)
    if state := asked.get("state"):
        rows = rows.filter(state=state)
    return rows.filter(name__icontains=asked["name"]) if "name" in asked else rows


def _shown(batches: Sequence[Batch]) -> list[Shown]:
    """Batches with what is not in their rows, in the same few queries for any number of them."""
    keys = [batch.pk for batch in batches]
    fresh = BatchSlice.objects.filter(batch__in=keys, folded=False).values_list("batch").annotate(Sum("members"))
    nested = Batch.objects.filter(within__in=keys).order_by().values_list("within").annotate(Count("pk"))
    fresh_of, nested_of = dict(fresh.order_by()), dict(nested)
    return [Shown(batch, fresh_of.get(batch.pk, 0), nested_of.get(batch.pk, 0)) for batch in batches]


def _tree(batch: Batch) -> tuple[Shown, bool]:
    """A batch with those within it, and whether there are more than are shown."""
    (top,) = _shown([batch])
    level, room = [top], SHOWN_NESTED
    for _depth in range(SHOWN_DEPTH):
        outer = {each.batch.pk: each for each in level if each.nested_count}
        if not outer or not room:
            break
        found = list(Batch.objects.filter(within__in=outer).order_by("pk")[:room])
        level, room = _shown(found), room - len(found)
        for each in level:
            outer[each.batch.within_id or 0].nested.append(each)
    return top, _is_cut(top)


def _is_cut(shown: Shown) -> bool:
    return len(shown.nested) < shown.nested_count or any(_is_cut(each) for each in shown.nested)


def _slices_of(batch: Batch) -> dict[str, Any]:
    slices = BatchSlice.objects.filter(batch=batch)
    count = capped_counts({"slices": slices}, on=Batch.objects.filter(pk=batch.pk))["slices"]
    return {
        "slices": list(slices.order_by("-pk")[:SHOWN_SLICES]),
        "slice_count": min(count, COUNT_CAP),
        "more_slices": count > COUNT_CAP,
    }


def _audit_of(batch: Batch) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(target=f"batch {batch.pk}").order_by("-pk")[:SHOWN_AUDIT])


def _state_counts() -> list[dict[str, Any]]:
    counts = capped_counts(
        {state.value: Batch.objects.filter(state=state) for state in BatchState}, on=Batch.objects.all()
    )
    return [
        {"state": state, "count": min(counts[state.value], COUNT_CAP), "more": counts[state.value] > COUNT_CAP}
        for state in BatchState
    ]

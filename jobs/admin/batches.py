"""The pages about batches: the list, and one batch with how far it is, what stands within it and what can be done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from jobs import batches
from jobs.admin import access, acting, audit_log
from jobs.admin.acting import Action
from jobs.admin.console import ConsoleAdmin, View
from jobs.admin.keyset import Counted, counted, key_or_none, page_asked
from jobs.batches import Progress
from jobs.models import Batch, BatchSlice, JobRun, RunState, Workflow, WorkflowStep
from jobs.models.batches import BatchState
from jobs.models.runs import PENDING_STATES

SHOWN_SLICES = 5
# A tree is shown so deep and with so many branches, and says so when there are more.
SHOWN_DEPTH = 4
SHOWN_NESTED = 100
_EVENTS = {
    "death": gettext_lazy("when one dies"),
    "complete": gettext_lazy("when all have ended"),
    "success": gettext_lazy("when all have succeeded"),
}


@dataclass(frozen=True)
class Callback:
    """A job that is enqueued when something happens, and when it was."""

    when: str | Promise
    job: str
    told_at: datetime | None
    # Whether it may still be enqueued without anybody's doing.
    is_ahead: bool


def callbacks_of(row: Batch | Workflow, events: Mapping[str, str | Promise]) -> list[Callback]:
    """The callbacks of a row for these events, in their order. Their arguments may be secret, and are left out."""
    is_ahead = row.ended_at is None or bool(row.trouble)
    prepared = {event: getattr(row, f"on_{event}") for event in events}
    return [
        Callback(when, prepared[event].get("job", ""), getattr(row, f"{event}_told_at", None), is_ahead)
        for event, when in events.items()
        if prepared[event]
    ]


@dataclass
class Shown:
    """A batch as its pages show it, from its own counts: no member is looked at but those that ended lately."""

    batch: Batch
    progress: Progress
    nested: list[Shown] = field(default_factory=list)

    @property
    def counts(self) -> Iterator[tuple[str, int, str]]:
        """(state, how many members, the list of these) of each end that there is."""
        for state, count in self.progress.counts.items():
            if count:
                yield state, count, self.dead_members if state == RunState.DEAD else self.members(state)

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
        return callbacks_of(self.batch, _EVENTS)

    def tree(self) -> Iterator[Shown]:
        """It and all that is shown within it."""
        yield self
        for each in self.nested:
            yield from each.tree()


def _is_cancellable(batch: Batch) -> bool:
    return batch.is_open and batch.cancelled_at is None


def _cancelled(batch: Batch) -> str:
    pending = sum(each.progress.pending for each in _tree(batch)[0].tree())
    text = ngettext(
        "Cancelled: what waits of %(count)s pending member is being taken back.",
        "Cancelled: what waits of %(count)s pending members is being taken back.",
        pending,
    )
    return text % {"count": number_format(pending, force_grouping=True)}


ACTIONS = acting.named(
    Action(
        name="cancel",
        recorded="batch cancel",
        permission=access.CANCEL,
        label=gettext_lazy("Cancel the rest"),
        verb=batches.cancel,
        done=_cancelled,
        question=gettext_lazy("Cancel the rest of this batch?"),
        consequence=gettext_lazy(
            "Those that wait never run, and none can be added any more; what runs goes on to its end. "
            "Then the batch has ended, as cancelled. This cannot be undone."
        ),
        button=gettext_lazy("Cancel the rest"),
        destroys=True,
        fits=_is_cancellable,
    ),
)


class BatchAdmin(ConsoleAdmin):
    """Batches: how far each is, what follows of it, and what keeps that from following."""

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        return [
            ("", self.list_page, "changelist", False),
            ("<int:pk>/", self.batch_page, "change", False),
            ("<int:pk>/<slug:name>/", self.action_page, "act", True),
        ]

    def list_page(self, request: HttpRequest) -> HttpResponse:
        asked = {name: text for name in ("state", "name") if (text := request.GET.get(name, "").strip()[:200])}
        page = page_asked(_rows(asked).select_related("within"), request.GET)
        rows = _shown(page.rows)
        return self.page(
            request,
            "batches.html",
            title=_("Batches"),
            asked=asked,
            page=page,
            rows=rows,
            is_live=any(each.batch.is_open for each in rows),
            states=_state_counts(),
        )

    def batch_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        batch = _batch(pk)
        tree, more_nested = _tree(batch)
        return self.page(
            request,
            "batch.html",
            title=_("Batch %(number)s") % {"number": batch.pk},
            batch=batch,
            shown=tree,
            more_nested=more_nested,
            retries=_retries(tree) if access.may(request, access.REQUEUE) else "",
            actions=acting.offered(request, ACTIONS, batch),
            step=WorkflowStep.objects.select_related("workflow").filter(batch=pk).first()
            if batch.workflow_id
            else None,
            has_parent=batch.parent and JobRun.objects.filter(pk=batch.parent).exists(),
            audit_entries=audit_log.latest(request, f"batch {batch.pk}"),
            **_slices_of(batch),
        )

    def action_page(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        return acting.act(
            self,
            request,
            ACTIONS.get(name),
            lambda: _batch(pk),
            target=f"batch {pk}",
            back=reverse("admin:jobs_batch_change", args=[pk]),
            template="batch_act.html",
            shown=_what_is_meant,
        )


def _batch(pk: int) -> Batch:
    return get_object_or_404(Batch.objects.select_related("within"), pk=key_or_none(str(pk), int))


def _what_is_meant(batch: Batch) -> dict[str, Any]:
    """How much an action would touch."""
    tree, is_cut = _tree(batch)
    there = list(tree.tree())
    return {
        "batch": batch,
        "shown": tree,
        "pending": sum(each.progress.pending for each in there),
        "nested_count": len(there) - 1,
        "is_cut": is_cut,
    }


def _retries(tree: Shown) -> str:
    """Where the dead members are retried, also of what stands within; empty where there are none."""
    if not any(each.batch.dead for each in tree.tree()):
        return ""
    named = "within" if tree.nested else "batch"
    return f"{reverse('admin:jobs_deadjob_bulk', args=['retry'])}?{named}={tree.batch.pk}"


def _rows(asked: Mapping[str, str]) -> QuerySet[Batch]:
    """Those asked for; with nothing asked for, those that stand within no other. Steps have pages of their own."""
    rows = Batch.objects.filter(workflow__isnull=True)
    if not asked:
        return rows.filter(within__isnull=True)
    if state := asked.get("state"):
        rows = rows.filter(state=state)
    return rows.filter(name__icontains=asked["name"]) if "name" in asked else rows


def _shown(found: Sequence[Batch]) -> list[Shown]:
    """Batches with how they fare, in the same few queries for any number of them."""
    fares = batches.progress_of(found)
    return [Shown(batch, fares[batch.pk]) for batch in found]


def _tree(batch: Batch) -> tuple[Shown, bool]:
    """A batch with those within it, and whether there are more than are shown."""
    shown = {each.batch.pk: each for each in _shown([batch, *_within(batch)])}
    for each in shown.values():
        if each.batch is not batch:
            shown[each.batch.within_id or 0].nested.append(each)
    return shown[batch.pk], _is_cut(shown[batch.pk])


def _within(batch: Batch) -> list[Batch]:
    """Those within it, and within those, level by level, as many as are shown."""
    found: list[Batch] = []
    level = [batch]
    for _depth in range(SHOWN_DEPTH):
        rows = Batch.objects.filter(within__in=[each.pk for each in level]).order_by("pk")
        level = list(rows[: SHOWN_NESTED - len(found)])
        found += level
        if not level or len(found) == SHOWN_NESTED:
            break
    return found


def _is_cut(shown: Shown) -> bool:
    return len(shown.nested) < shown.progress.nested or any(_is_cut(each) for each in shown.nested)


def _slices_of(batch: Batch) -> dict[str, Any]:
    slices = BatchSlice.objects.filter(batch=batch)
    (count,) = counted({"slices": slices}, on=Batch.objects.filter(pk=batch.pk))
    return {"slices": list(slices.order_by("-pk")[:SHOWN_SLICES]), "slice_count": count}


def _state_counts() -> list[Counted]:
    rows = {state.value: Batch.objects.filter(state=state, workflow__isnull=True) for state in BatchState}
    return counted(rows, on=Batch.objects.all())

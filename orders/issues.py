"""Issues of the newsletter: written, sent to each reader once, counted. The words around them are in `letters`.

1. `send` marks an issue as on its way, once, and tells who asks for its letters.
2. `slices` are the readers in the order of their keys; `asking` notes up to which they were asked for, in the
   transaction that does. So who asks may be stopped or killed anywhere, and nobody is asked for twice.
3. `deliver` looks again whether the reader still wants it, and sends it by `send_once`.
4. `finish` keeps what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from jobs import DiscardJob, HandBackJob, batches
from jobs.emails import send_once
from orders import letters
from orders.models import Customer, Issue, Newsletter

Tell = Callable[[int], object]
# So many letters are asked for at a time, and start together.
SLICE_READERS = 200


@dataclass(frozen=True)
class Standing:
    """How far an issue is. `left` had left the list before it was their turn; `batch` is None when it is not kept.

    `rate` is of letters in a second, of late; `seconds_left` is None where nobody can say.
    """

    total: int
    sent: int
    left: int
    failed: int
    batch: int | None = None
    rate: float = 0.0
    seconds_left: float | None = None

    @property
    def done(self) -> int:
        return min(self.total, self.sent + self.left + self.failed)


def readers() -> models.QuerySet[Customer]:
    """Who gets the next issue."""
    return Customer.objects.filter(newsletter=Newsletter.ON_LIST)


def write(*, subject: str, text: str, username: str, is_ready: bool) -> Issue:
    return Issue.objects.create(subject=subject, text=text, written_by=username, is_ready=is_ready)


def rewrite(issue: Issue, *, subject: str, text: str, is_ready: bool) -> bool:
    """Change the words of an issue. False when it is on its way already."""
    return bool(_drafts(issue.pk).update(subject=subject, text=text, is_ready=is_ready))


@transaction.atomic
def send(issue_id: int, *, on_sending: Tell) -> bool:
    """Begin to send an issue, and tell `on_sending(issue_id)` in the same transaction. False when it has begun."""
    if not _drafts(issue_id).update(sending_at=timezone.now(), is_ready=False, readers=readers().count()):
        return False
    on_sending(issue_id)
    return True


def send_next(*, on_sending: Tell) -> None:
    """Begin to send the issue whose turn it is: of those that are ready, the one that was written first."""
    ready = Issue.objects.filter(is_ready=True, sending_at__isnull=True).order_by("pk").first()
    if ready is not None:
        send(ready.pk, on_sending=on_sending)


def slices(issue_id: int) -> Iterator[list[int]]:
    """The readers who were not asked for yet, in the order of their keys, so many at a time."""
    while True:
        last = Issue.objects.values_list("asked_up_to", flat=True).get(pk=issue_id)
        found = list(readers().filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:SLICE_READERS])
        if not found:
            return
        yield found


@contextmanager
def asking(issue_id: int, readers: list[int]) -> Iterator[None]:
    """A transaction in which letters for these readers are asked for, and that they were.

    Of two that ask for the same ones, the second waits for the first, and raises `HandBackJob`.
    """
    with transaction.atomic():
        fresh = Issue.objects.filter(pk=issue_id, asked_up_to__lt=readers[0])
        if not fresh.update(asked_up_to=readers[-1], asked=F("asked") + len(readers)):
            raise HandBackJob
        yield


def deliver(issue_id: int, customer_id: int) -> None:
    """Send an issue to a reader, once. Who has left meanwhile gets none."""
    reader = readers().filter(pk=customer_id).first()
    issue = Issue.objects.filter(pk=issue_id).first()
    if reader is None or issue is None:
        raise DiscardJob
    send_once("newsletter_issue", reader.email, f"issue-{issue.pk}", partial(letters.newsletter_issue, issue, reader))


def finish(issue_id: int) -> None:
    """Keep what came of an issue, for its batch does not stay. Done already: nothing to do."""
    issue = Issue.objects.filter(pk=issue_id, finished_at__isnull=True).first()
    if issue is not None:
        now = standing(issue)
        facts = {"sent": now.sent, "left": now.left, "failed": now.failed}
        Issue.objects.filter(pk=issue_id).update(**facts, finished_at=timezone.now())


def standing(issue: Issue) -> Standing:
    """How far an issue is: as its batch counts, and as was kept when that is gone."""
    try:
        batch = batches.get(batch_key(issue.pk))
    except batches.BadBatch:
        return Standing(max(issue.readers, issue.asked), issue.sent, issue.left, issue.failed)
    # While it is being filled, nobody knows better than who counted the list at the beginning.
    total = issue.asked if batch.sealed_at else max(issue.readers, issue.asked)
    pace = batches.progress_of([batch])[batch.pk]
    failed = batch.dead + batch.cancelled
    return Standing(total, batch.succeeded, batch.discarded, failed, batch.pk, pace.rate, pace.seconds_left)


def batch_key(issue_id: int) -> str:
    """What an issue's batch is known by."""
    return f"orders-issue-{issue_id}"


def _drafts(issue_id: int) -> models.QuerySet[Issue]:
    return Issue.objects.filter(pk=issue_id, sending_at__isnull=True)

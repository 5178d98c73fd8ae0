"""`manage.py jobs_batches`: lists batches, shows one, cancels one, retries what failed in one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import batches
from jobs.batches import BadBatch, Progress
from jobs.errors import JobsError
from jobs.management.acting import actor, reason_given, takes_reason
from jobs.management.following import duration
from jobs.management.options import positive, read
from jobs.management.reaching import needs_database
from jobs.management.stopping import asked_to_stop
from jobs.models import Batch
from jobs.models.batches import OPEN_BATCH_STATES, BatchState
from jobs.policy.ramp import Ramp
from jobs.policy.rates import parse_rate, rate_in_words

_REFUSED, _MISUSE = 1, 2
_LOOK_SECONDS = 2.0
# In a log, each look would be a line.
_LINE_SECONDS = 10.0
_BAR = 24


class Command(BaseCommand):
    """Does one of four verbs. Exit status: 0 done, 1 refused, 2 asked wrongly, or no database to ask."""

    help = (
        "List batches, show how one fares, cancel the rest of one, or retry its failed members. "
        "A batch is named by its number or its key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="list | show | cancel | retry")
        listing = verbs.add_parser("list", help="list those that have not ended; so it does without a verb")
        listing.add_argument("--all", action="store_true", dest="ended_too", help="those that have ended, too")
        listing.add_argument("--state", choices=BatchState.values, help="only those in this state")
        listing.add_argument("--limit", type=positive, default=20, help="so many at the most, the latest first (20)")
        showing = verbs.add_parser("show", help="show one, with what stands within it")
        cancelling = verbs.add_parser("cancel", help="take back the members that wait, and let none be added any more")
        retrying = verbs.add_parser("retry", help="give the dead members a new life, in the background")
        retrying.add_argument("--canary", type=positive, default=0, help="so many first, and wait for them")
        retrying.add_argument("--rate", type=read(parse_rate), help="how many go, such as 5/s or 30/m")
        for looking in (listing, showing):
            looking.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per line")
            looking.add_argument("--watch", action="store_true", help="go on until all have ended")
        for naming in (showing, cancelling, retrying):
            naming.add_argument("batch", help="its number or its key")
        for acting in (cancelling, retrying):
            takes_reason(acting)

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        verbs = {"show": self._show, "cancel": self._cancel, "retry": self._retry}
        try:
            verbs.get(options["verb"], self._list)(options)
        except JobsError as error:
            raise CommandError(str(error), returncode=_REFUSED) from error

    def _list(self, options: dict[str, Any]) -> None:
        rows = Batch.objects.filter(workflow=None).order_by("-pk")
        if options.get("state"):
            rows = rows.filter(state=options["state"])
        elif not options.get("ended_too"):
            rows = rows.filter(state__in=OPEN_BATCH_STATES)

        def look() -> list[Progress]:
            return list(batches.progress_of(list(rows[: options.get("limit", 20)])).values())

        self._tell(look, options, nothing=_nothing(options))

    def _show(self, options: dict[str, Any]) -> None:
        batch = _named(options["batch"])

        def look() -> list[Progress]:
            inner = Batch.objects.filter(pk__in=batches.tree(batch)).exclude(pk=batch.pk).order_by("pk")
            within = [replace(one, name=f"  {one.name}") for one in batches.progress_of(list(inner[:50])).values()]
            return [batches.progress(batch), *within]

        self._tell(look, options, nothing="")

    def _tell(self, look: Callable[[], list[Progress]], options: dict[str, Any], *, nothing: str) -> None:
        as_json, is_terminal = bool(options.get("as_json")), bool(getattr(self.stdout, "isatty", lambda: False)())
        with asked_to_stop() as stop:
            while True:
                found = look()
                lines = [json.dumps(one.as_dict()) if as_json else _in_words(one) for one in found]
                text = "\n".join(lines or ([] if as_json else [nothing]))
                if options.get("watch") and is_terminal and not as_json:
                    # From the top of an empty screen.
                    text = f"\x1b[H\x1b[J{text}"
                if text:
                    self.stdout.write(text)
                self.stdout.flush()
                is_over = all(one.state not in OPEN_BATCH_STATES for one in found)
                if not options.get("watch") or is_over or stop.wait(_LOOK_SECONDS if is_terminal else _LINE_SECONDS):
                    return

    def _cancel(self, options: dict[str, Any]) -> None:
        batch = _named(options["batch"])
        batches.cancel(batch, actor=actor("jobs_batches"), reason=reason_given(options))
        self.stdout.write(f"Batch {batch.pk} is cancelled: what waits is taken back, what runs goes on to its end.")

    def _retry(self, options: dict[str, Any]) -> None:
        batch = _named(options["batch"])
        ramp = Ramp(canary=options["canary"], rate=options["rate"])
        action, _ = batches.retry_failed(batch, actor=actor("jobs_batches"), reason=reason_given(options), ramp=ramp)
        count = f"{action.total:,} dead member{'' if action.total == 1 else 's'}"
        self.stdout.write(f"Bulk action {action.pk} retries {count} of batch {batch.pk}.")


def _nothing(options: dict[str, Any]) -> str:
    """What is said where none is listed."""
    if options.get("state"):
        return f'No batch is in the state "{options["state"]}".'
    return "There is no batch." if options.get("ended_too") else "No batch is open."


def _named(text: str) -> Batch:
    """The batch of this key, or else of this number."""
    try:
        return batches.get(text)
    except BadBatch as error:
        if text.isdecimal():
            return _numbered(int(text))
        raise CommandError(str(error), returncode=_MISUSE) from error


def _numbered(number: int) -> Batch:
    try:
        return batches.get(number)
    except BadBatch as error:
        raise CommandError(str(error), returncode=_MISUSE) from error


def _in_words(one: Progress) -> str:
    bar = f"[{'#' * round(_BAR * one.share):<{_BAR}}]"
    words = f"{one.batch:>6}  {one.state:<9}  {bar} {one.done:,} of {one.total:,} ({int(100 * one.share)} %)"
    told = [f"{count:,} {state}" for state, count in one.counts.items() if count and state != "succeeded"]
    if one.rate:
        told.append(rate_in_words(one.rate))
    if one.seconds_left:
        told.append(f"{duration(one.seconds_left)} to go")
    trouble = f"  ! {one.trouble}" if one.trouble else ""
    key = f"  [{one.key}]" if one.key else ""
    return f"{', '.join([words, *told])}  {one.name}{key}{trouble}"

"""`manage.py jobs_ledger`: proves that no run is lost, lists those that are, and puts them back."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from jobs import batches, ledger, registry
from jobs.batches import Difference
from jobs.errors import BrokerUnavailable, did_you_mean
from jobs.ledger import Account, Finding, Range
from jobs.management.acting import actor, reason_given, takes_reason
from jobs.management.reaching import UNREACHED, needs_database
from jobs.models import Batch, JobRun
from jobs.policy.ages import parse_age

_UNBALANCED, _MISUSE = 1, 2
_AT_ONCE = 500
# What a person reads, and what a program still takes in one piece.
_SHOWN, _SHOWN_AS_JSON = 20, 1000
_COLUMNS = ("enqueued", "succeeded", "dead", "discarded", "cancelled", "pending", "unaccounted")


class _Findings:
    """Counts what passes by, and keeps the first few."""

    def __init__(self, *, keep: int) -> None:
        self.first: list[Finding] = []
        self.count = 0
        self.repaired = 0
        self._keep = keep

    def note(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.count += 1
            if len(self.first) < self._keep:
                self.first.append(finding)

    @property
    def left(self) -> int:
        return self.count - self.repaired


class _Miscounted:
    """Batches whose counts are not those of their members."""

    def __init__(self, found: list[Difference]) -> None:
        self.found = found
        self.mended = 0

    def mend(self, *, reason: str) -> None:
        for one in self.found:
            self.mended += batches.repair(Batch(pk=one.batch), actor=actor("jobs_ledger"), reason=reason)

    @property
    def left(self) -> int:
        return len(self.found) - self.mended

    def as_dict(self) -> dict[str, Any]:
        return {"miscounted": [vars(one) for one in self.found[:_SHOWN_AS_JSON]], "mended": self.mended}


class Command(BaseCommand):
    """1. Count the rows by job and state.
    2. Look for each pending run in Redis, and for each run in Redis whose row has ended.
    3. Count the members of all batches, unless only some runs are asked for.
    4. Say what does not agree; with --reissue, put back what is lost, remove what has ended and mend counts.

    Exit status: 0 it balances, 1 it does not, 2 asked wrongly, or no database or Redis to ask.
    """

    help = (
        "Prove that no run is lost: enqueued = succeeded + dead + discarded + cancelled + pending. "
        "Lists the runs that are not accounted for, and with --reissue puts them back. "
        "Also proves that the counts of batches are those of their members."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=_moment, help="only runs asked for from then on: 2026-11-22T10:00, or 3d")
        parser.add_argument("--until", type=_moment, help="only runs asked for before then")
        parser.add_argument("--name", "--job", dest="name", help="only runs of this job")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")
        parser.add_argument("--reissue", action="store_true", help="put back what is lost; remove what has ended")
        takes_reason(parser)
        parser.add_argument("--yes", "--no-input", action="store_false", dest="interactive", help="do not ask")

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, **options: Any) -> None:
        _check(options)
        chosen = Range(since=options["since"], until=options["until"], name=_job(options["name"]))
        with _needs_redis():
            accounts = ledger.accounts(chosen)
            keep = _SHOWN_AS_JSON if options["as_json"] else _SHOWN
            lost, surplus = _Findings(keep=keep), _Findings(keep=keep)
            for chunk in _chunks(ledger.unaccounted(chosen)):
                lost.note(chunk)
                _enter(chunk, accounts)
            for chunk in _chunks(ledger.surplus(chosen)):
                surplus.note(chunk)
            miscounted = _Miscounted(list(batches.check_all()) if _is_of_all(options) else [])
            if not options["as_json"]:
                self._show(accounts, lost, surplus)
                self._show_miscounted(miscounted)
            anything = lost.count or surplus.count or miscounted.found
            if options["reissue"] and anything and self._agreed(lost, surplus, miscounted, options):
                self._repair(chosen, lost, surplus, options)
                miscounted.mend(reason=options["reason"])
        self._conclude(accounts, lost, surplus, miscounted, options)

    def _repair(self, chosen: Range, lost: _Findings, surplus: _Findings, options: dict[str, Any]) -> None:
        words = {"actor": actor("jobs_ledger"), "reason": options["reason"], "filter": _told(options)}
        for found, findings, verb in (
            (lost, ledger.unaccounted(chosen), ledger.reissue),
            (surplus, ledger.surplus(chosen), ledger.remove),
        ):
            # Looked for anew: what was found while a person thought may have gone on.
            for chunk in _chunks(findings):
                found.repaired += verb([one.id for one in chunk], **words)

    def _agreed(self, lost: _Findings, surplus: _Findings, miscounted: _Miscounted, options: dict[str, Any]) -> bool:
        if not options["interactive"]:
            return True
        mend = f", and mend the counts of {_batches(len(miscounted.found))}" if miscounted.found else ""
        question = (
            f"Put back {lost.count:,}, remove {surplus.count:,}{mend}? A run whose end was lost runs again. [y/N] "
        )
        return input(question).strip().lower() in ("y", "yes")

    def _show(self, accounts: dict[str, Account], lost: _Findings, surplus: _Findings) -> None:
        width = max([len(name) for name in accounts] + [len("total")])
        self.stdout.write(f"{'job':<{width}}" + "".join(f"{column:>13}" for column in _COLUMNS))
        for account in [*accounts.values(), _total(accounts)]:
            numbers = "".join(f"{getattr(account, column):>13,}" for column in _COLUMNS)
            self.stdout.write(f"{account.name:<{width}}{numbers}")
        for found, words in ((lost, "not accounted for"), (surplus, "ended, and still in Redis")):
            if found.count:
                self.stdout.write(f"\n{_runs(found.count)} {words}:")
            for one in found.first:
                self.stdout.write(
                    f"  {one.id}  {one.name}  {one.queue}  {one.state}  {one.created_at:%F %T}  {one.why}"
                )
            if found.count > len(found.first):
                self.stdout.write(f"  … and {found.count - len(found.first):,} more")

    def _show_miscounted(self, miscounted: _Miscounted) -> None:
        if miscounted.found:
            self.stdout.write(f"\n{_batches(len(miscounted.found))} with other counts than members:")
        for one in miscounted.found[:_SHOWN]:
            gone = f"; {one.gone:,} have no row, so it cannot be mended" if one.gone > 0 else ""
            self.stdout.write(
                f"  {one.batch}  {one.name}  counted {_counts(one.counted)}, found {_counts(one.found)}{gone}"
            )
        if len(miscounted.found) > _SHOWN:
            self.stdout.write(f"  … and {len(miscounted.found) - _SHOWN:,} more")

    def _conclude(
        self,
        accounts: dict[str, Account],
        lost: _Findings,
        surplus: _Findings,
        miscounted: _Miscounted,
        options: dict[str, Any],
    ) -> None:
        balanced = not (lost.count or surplus.count or miscounted.found)
        if options["as_json"]:
            told = _as_json(accounts, lost, surplus, balanced=balanced) | miscounted.as_dict()
            self.stdout.write(json.dumps(told, default=str))
        elif balanced:
            self.stdout.write("It balances.")
        elif lost.repaired or surplus.repaired or miscounted.mended:
            mended = f", the counts of {_batches(miscounted.mended)} mended" if miscounted.found else ""
            self.stdout.write(f"{_runs(lost.repaired)} put back, {_runs(surplus.repaired)} removed{mended}.")
        else:
            self.stdout.write('It does not balance. Repair it with --reissue --reason "…".')
        if lost.left > 0 or surplus.left > 0 or miscounted.left > 0:
            sys.exit(_UNBALANCED)


def _as_json(accounts: dict[str, Account], lost: _Findings, surplus: _Findings, *, balanced: bool) -> dict[str, Any]:
    return {
        "balanced": balanced,
        "jobs": [account.as_dict() for account in accounts.values()],
        "total": _total(accounts).as_dict(),
        "unaccounted": [vars(one) for one in lost.first],
        "surplus": [vars(one) for one in surplus.first],
        "surplus_count": surplus.count,
        "reissued": lost.repaired,
        "removed": surplus.repaired,
    }


def _enter(findings: list[Finding], accounts: dict[str, Account]) -> None:
    for one in findings:
        account = accounts.setdefault(one.name, Account(one.name, pending=1))
        account.pending -= 1
        account.unaccounted += 1


def _total(accounts: dict[str, Account]) -> Account:
    total = Account("total")
    for account in accounts.values():
        for column in _COLUMNS[1:]:
            setattr(total, column, getattr(total, column) + getattr(account, column))
    return total


def _check(options: dict[str, Any]) -> None:
    if not options["reissue"]:
        return
    reason_given(options)
    if options["interactive"] and (options["as_json"] or not sys.stdin.isatty()):
        raise CommandError("There is nobody to ask; add --yes, or leave --reissue out to look.", returncode=_MISUSE)


def _job(name: str | None) -> str | None:
    if name is None:
        return None
    known = {*registry.names(), *JobRun.objects.order_by().values_list("name", flat=True).distinct()}
    if (full := registry.full_name(name)) in known:
        return full
    raise CommandError(f'--name: nothing is named "{name}".{did_you_mean(name, known)}', returncode=_MISUSE)


def _told(options: dict[str, Any]) -> dict[str, str]:
    return {key: str(options[key]) for key in ("since", "until", "name") if options[key] is not None}


def _moment(text: str) -> datetime:
    """A date, a time, or how long ago: an age."""
    try:
        found: datetime | None = parse_datetime(text)
        if found is None and (day := parse_date(text)):
            found = datetime(day.year, day.month, day.day)
        if found is not None:
            return found if timezone.is_aware(found) else timezone.make_aware(found)
        return timezone.now() - parse_age(text)
    except ValueError as error:
        cure = "Write a date, a time such as 2026-11-22T10:00, or an age such as 3d or 12h."
        raise ArgumentTypeError(f'"{text}" is no moment. {cure}') from error


def _is_of_all(options: dict[str, Any]) -> bool:
    """A batch may have members of other times and jobs."""
    return not _told(options)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"


def _batches(count: int) -> str:
    return f"{count:,} batch{'' if count == 1 else 'es'}"


def _runs(count: int) -> str:
    return f"{count:,} run{'' if count == 1 else 's'}"


def _chunks(findings: Iterator[Finding]) -> Iterator[list[Finding]]:
    while chunk := list(islice(findings, _AT_ONCE)):
        yield chunk


@contextmanager
def _needs_redis() -> Iterator[None]:
    try:
        yield
    except BrokerUnavailable as error:
        raise CommandError(str(error), returncode=UNREACHED) from error

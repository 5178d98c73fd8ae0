"""What `requeue_dead` and `discard_dead` share: which dead jobs are meant, asking first, chunks, the summary."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import router, transaction
from django.db.models import Count, QuerySet

from jobs import bulk, conf, dead, registry
from jobs.errors import JobsError, did_you_mean
from jobs.management import following
from jobs.management.acting import actor
from jobs.management.options import positive, read
from jobs.management.reaching import needs_database
from jobs.management.stopping import asked_to_stop
from jobs.models import BulkAction, DeadJob, FailureCause
from jobs.models.bulk import BulkState, BulkVerb
from jobs.policy.ages import parse_age
from jobs.policy.ramp import Ramp
from jobs.policy.rates import parse_rate

# A chunk is one transaction and one audit row; SIGTERM is heard between two of them.
CHUNK = 500
LEFT_ALONE = 1
MISUSE = 2


class ResolveDead(BaseCommand):
    """Does one verb with all open dead jobs that match, oldest first.

    1. Read the options; a job or queue that is not known is refused with the nearest name.
    2. Show what matches, and ask.
    3. Work in chunks; SIGTERM and Ctrl-C end it after the chunk in hand.
    4. Say how many were done, and how many were left alone and why.

    With a rate or a canary, step 3 is a bulk action: it is asked for and followed, and goes on without the command.

    A dry run does the same in a transaction that it takes back, so the two cannot differ.
    Exit status: 0 all done, 1 some were left alone, 2 asked wrongly, or no database to ask.
    """

    word = ""
    past = ""
    needs_reason = False
    verb_of_many = BulkVerb.REQUEUE
    verb: Callable[..., dead.Tally]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--job", help="only dead runs of this job; the function's bare name will do")
        parser.add_argument("--queue", help="only those of this queue")
        parser.add_argument("--error", help="only those with this text in the error's class or message")
        parser.add_argument("--cause", help="only those of this cause: its number or the beginning of its fingerprint")
        parser.add_argument(
            "--older-than", type=read(parse_age), metavar="AGE", help="only those that died longer ago: 3d, 12h"
        )
        parser.add_argument("--limit", type=positive, help='at the most so many (default: JOBS["BULK_LIMIT"])')
        parser.add_argument("--reason", default="", help="why; kept in the audit")
        parser.add_argument("--rate", type=read(parse_rate), help="in the background, so many: 50/s, 600/min")
        self._add_canary_arguments(parser)
        for word, meaning in (("follow", "show how bulk action ID goes on"), ("resume", "go on where it stopped")):
            parser.add_argument(f"--{word}", type=positive, metavar="ID", help=meaning)
        parser.add_argument("--stop", type=positive, metavar="ID", help="let bulk action ID go no further")
        parser.add_argument("--no-follow", action="store_false", dest="follows", help="ask for it, and do not wait")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the summary as JSON")
        parser.add_argument("--no-input", action="store_false", dest="interactive", help="do not ask")

    def _add_canary_arguments(self, parser: CommandParser) -> None:
        """What only a verb can have whose runs may fail again."""

    @needs_database()
    def execute(self, *args: Any, **options: Any) -> Any:
        # The system checks, which run first, may ask the database too.
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["follow"] or options["resume"] or options["stop"]:
            self._go_on_with(options)
            return
        up_to = DeadJob.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        chosen, asked = self._choose(options, up_to)
        self._check(options)
        limit = options["limit"] or conf.get().BULK_LIMIT
        matched = chosen.count()
        if not options["as_json"]:
            self._show(chosen, matched)
        if matched and not options["dry_run"] and options["interactive"] and not self._agreed(min(matched, limit)):
            self.stdout.write("Nothing was changed.")
            sys.exit(LEFT_ALONE)
        if matched and not options["dry_run"] and (options["rate"] or options.get("canary")):
            self._in_background(options, up_to=up_to, limit=limit)
            return
        work = self._rehearse if options["dry_run"] else self._work
        tally, stopped = work(chosen, limit=limit, reason=options["reason"], asked=asked)
        if beyond := matched - tally.done - tally.left.total():
            tally.left["not come to, for it was stopped" if stopped else f"beyond the limit of {limit}"] = beyond
        self._tell(tally, matched=matched, options=options, stopped=stopped)
        if tally.left:
            sys.exit(LEFT_ALONE)

    # Step 1.

    def _check(self, options: dict[str, Any]) -> None:
        if self.needs_reason and not options["reason"].strip() and not options["dry_run"]:
            raise CommandError('Say why with --reason "…": it is kept with each job.', returncode=MISUSE)
        if not options["interactive"] or options["dry_run"]:
            return
        if options["as_json"]:
            raise CommandError("--json cannot ask; add --no-input, or --dry-run to look first.", returncode=MISUSE)
        if not sys.stdin.isatty():
            raise CommandError("There is nobody to ask; add --no-input, or --dry-run to look first.", returncode=MISUSE)

    def _choose(self, options: dict[str, Any], up_to: int) -> tuple[QuerySet[DeadJob], dict[str, Any]]:
        asked = self._asked(options)
        told = {key: str(value) for key, value in asked.items() if value is not None}
        return dead.matching(**asked).filter(pk__lte=up_to), told

    def _asked(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": self._job(options["job"]) if options["job"] else None,
            "queue": self._queue(options["queue"]) if options["queue"] else None,
            "error": options["error"],
            "older_than": options["older_than"],
            "cause": self._cause(options["cause"]) if options["cause"] else None,
        }

    def _cause(self, text: str) -> int:
        if text.isdecimal() and (found := FailureCause.objects.filter(pk=int(text)).first()):
            return int(found.pk)
        found_too = list(FailureCause.objects.filter(fingerprint__startswith=text.lower())[:2])
        if len(found_too) == 1:
            return int(found_too[0].pk)
        which = (
            "more than one cause begins so; give more of it" if found_too else "no cause has this number or fingerprint"
        )
        raise CommandError(f'--cause "{text}": {which}. The page Failures lists them.', returncode=MISUSE)

    def _job(self, name: str) -> str:
        return self._known(registry.full_name(name), registry.names(), column="name", option="--job")

    def _queue(self, name: str) -> str:
        return self._known(name, conf.queue_names(), column="queue", option="--queue")

    def _known(self, value: str, names: list[str], *, column: str, option: str) -> str:
        # Dead jobs outlive the names of old releases, and must still be found.
        known = set(names) | set(dead.matching().order_by().values_list(column, flat=True).distinct())
        if value in known:
            return value
        hint = did_you_mean(value, known) or f" Known are: {', '.join(sorted(known)) or 'none'}."
        raise CommandError(f'{option}: nothing is named "{value}".{hint}', returncode=MISUSE)

    # Step 2.

    def _show(self, chosen: QuerySet[DeadJob], matched: int) -> None:
        if not matched:
            self.stdout.write("No dead job matches.")
            return
        groups = chosen.order_by().values("name", "queue", "error_class").annotate(count=Count("pk"))
        for group in groups.order_by("-count", "name"):
            self.stdout.write("{count:>8,}  {name}  {queue}  {error_class}".format(**group))

    def _agreed(self, count: int) -> bool:
        answer = input(f"{self.word.capitalize()} {_jobs(count)}? [y/N] ")
        return answer.strip().lower() in ("y", "yes")

    # Step 3.

    def _work(
        self, chosen: QuerySet[DeadJob], *, limit: int, reason: str, asked: dict[str, Any]
    ) -> tuple[dead.Tally, bool]:
        tally = dead.Tally()
        with asked_to_stop() as stop:
            for chunk in _chunks(chosen, limit):
                part = type(self).verb(chunk, actor=actor(f"{self.word}_dead"), reason=reason, filter=asked)
                tally.done += part.done
                tally.left += part.left
                self._progress(tally)
                if stop.is_set():
                    return tally, True
        return tally, False

    def _rehearse(self, chosen: QuerySet[DeadJob], **words: Any) -> tuple[dead.Tally, bool]:
        with transaction.atomic(using=router.db_for_write(DeadJob)):
            found = self._work(chosen, **words)
            transaction.set_rollback(True)
        return found

    def _progress(self, tally: dead.Tally) -> None:
        looked = tally.done + tally.left.total()
        if looked % CHUNK == 0:
            self.stderr.write(f"{looked:,} looked at, {tally.done:,} {self.past}")

    # Step 3, in the background.

    def _in_background(self, options: dict[str, Any], *, up_to: int, limit: int) -> None:
        action, _ = bulk.ask(
            self.verb_of_many,
            bulk.Selection(self._asked(options)),
            actor=actor(f"{self.word}_dead"),
            reason=options["reason"],
            ramp=Ramp(
                canary=options.get("canary") or 0,
                rate=options["rate"],
                max_failures=options.get("max_failures", 0.2),
                max_wait=wait.total_seconds() if (wait := options.get("max_wait")) else None,
            ),
            limit=limit,
            up_to=up_to,
        )
        self._note(options, f"Bulk action {action.pk} is asked for: {_jobs(action.total)}.")
        self._follow(action, options)

    def _go_on_with(self, options: dict[str, Any]) -> None:
        key = options["follow"] or options["resume"] or options["stop"]
        action = BulkAction.objects.filter(pk=key).first()
        if action is None:
            raise CommandError(f"There is no bulk action {key}. The page Bulk actions lists them.", returncode=MISUSE)
        words = {"actor": actor(f"{self.word}_dead"), "reason": options["reason"]}
        try:
            if options["stop"]:
                bulk.stop(action, **words)
            elif options["resume"]:
                bulk.resume(action, **words)
        except JobsError as error:
            raise CommandError(str(error), returncode=MISUSE) from error
        self._follow(action, options)

    def _follow(self, action: BulkAction, options: dict[str, Any]) -> None:
        if options["follows"]:
            with asked_to_stop() as stop:
                out = self.stderr if options["as_json"] else self.stdout
                command, who = f"{self.word}_dead", actor(f"{self.word}_dead")
                following.Follower(action, out=out, stop=stop, command=command, actor=who).follow()
        action.refresh_from_db()
        if options["as_json"]:
            self.stdout.write(json.dumps(following.summary(action)))
        elif options["follows"] and not action.is_open:
            following.tell(action, self.stdout.write, past=self.past)
        if options["follows"] and (action.state != BulkState.FINISHED or action.left):
            sys.exit(LEFT_ALONE)

    def _note(self, options: dict[str, Any], line: str) -> None:
        (self.stderr if options["as_json"] else self.stdout).write(line)

    # Step 4.

    def _tell(self, tally: dead.Tally, *, matched: int, options: dict[str, Any], stopped: bool) -> None:
        if options["as_json"]:
            facts = {
                "action": self.word,
                "dry_run": options["dry_run"],
                "matched": matched,
                "done": tally.done,
                "left_alone": dict(tally.left),
                "stopped": stopped,
            }
            self.stdout.write(json.dumps(facts))
            return
        would = "would be " if options["dry_run"] else ""
        self.stdout.write(f"{_jobs(tally.done)} {would}{self.past}.")
        for why, count in Counter(tally.left).most_common():
            self.stdout.write(f"{_jobs(count)} {would}left alone: {why}.")


def _jobs(count: int) -> str:
    return f"{count:,} dead job{'' if count == 1 else 's'}"


def _chunks(chosen: QuerySet[DeadJob], limit: int) -> Iterator[QuerySet[DeadJob]]:
    after = 0
    while limit > 0:
        keys = list(chosen.filter(pk__gt=after).values_list("pk", flat=True)[: min(CHUNK, limit)])
        if not keys:
            return
        yield chosen.filter(pk__gt=after, pk__lte=keys[-1])
        after = keys[-1]
        limit -= len(keys)

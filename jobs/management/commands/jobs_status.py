"""`manage.py jobs_status`: how everything stands now, for people, programs and probes."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.health import status
from jobs.management.options import positive, read
from jobs.management.stopping import asked_to_stop

_WRONG = 1
_MISUSE = 2
_SECONDS = 2
_CLEAR = "\x1b[H\x1b[J"
_UNKNOWN = "unknown"
_COLUMNS = (
    ("queue", "queue"),
    ("depth", "waiting"),
    ("oldest_wait_seconds", "oldest"),
    ("running", "running"),
    ("scheduled", "scheduled"),
    ("workers", "workers"),
    ("in_per_minute", "in/min"),
    ("out_per_minute", "out/min"),
    ("forecast", "forecast"),
)


class Command(BaseCommand):
    """Exit status: 0 it was shown; with --check 1 when something is wrong; 2 asked wrongly.

    With --here only this host counts: whether a worker's process lives on it. That is what a container's probe asks;
    while Redis is away nobody knows, and to start it again would not help, so it is 0 then.
    """

    help = "Show how queues, workers and the recorder stand. Works while the database or Redis is away, and says so."
    # They may ask the database, which may be away.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--check", action="store_true", help="end with status 1 when something is wrong")
        parser.add_argument("--here", action="store_true", help="with --check: whether a worker lives on this host")
        parser.add_argument(
            "--watch",
            nargs="?",
            const=_SECONDS,
            type=read(positive),
            metavar="SECONDS",
            help=f"show it again and again, each {_SECONDS} seconds if you do not say; Ctrl-C ends it",
        )

    def handle(self, **options: Any) -> None:
        if options["here"]:
            self._here(options)
            return
        if options["watch"] and (options["json"] or options["check"]):
            raise CommandError("--watch is for people; ask once with --json or --check.", returncode=_MISUSE)
        if options["watch"]:
            self._watch(options["watch"])
            return
        seen = status.status()
        self.stdout.write(json.dumps(seen) if options["json"] else "\n".join(lines(seen)))
        if options["check"] and not seen["ok"]:
            sys.exit(_WRONG)

    def _here(self, options: Mapping[str, Any]) -> None:
        if not options["check"] or options["watch"]:
            raise CommandError("--here goes with --check.", returncode=_MISUSE)
        alive = status.is_alive_here()
        self.stdout.write(json.dumps({"alive": alive}) if options["json"] else _IN_WORDS[alive])
        if alive is False:
            sys.exit(_WRONG)

    def _watch(self, seconds: int) -> None:
        is_terminal = bool(getattr(self.stdout, "isatty", lambda: False)())
        with asked_to_stop() as stop:
            while True:
                shown = lines(status.status())
                if is_terminal:
                    shown = shown[: shutil.get_terminal_size().lines - 1]
                self.stdout.write((_CLEAR if is_terminal else "") + "\n".join(shown))
                self.stdout.flush()
                if stop.wait(seconds):
                    return


_IN_WORDS = {
    True: "A worker lives on this host.",
    False: "No worker lives on this host.",
    None: "Redis does not answer: whether a worker lives here is unknown.",
}


def lines(seen: Mapping[str, Any]) -> list[str]:
    """A status as people read it."""
    return [*_head(seen), "", *_queues(seen), "", *_rest(seen)]


def _head(seen: Mapping[str, Any]) -> Iterator[str]:
    release = f", release {seen['release']}" if seen["release"] else ""
    yield f"{seen['at']} on {seen['host']}{release}"
    for problem in seen["problems"]:
        yield f"!! {problem['what']}"
    if seen["ok"]:
        yield "All is well."


def _queues(seen: Mapping[str, Any]) -> Iterator[str]:
    if seen["queues"] is None:
        yield "queues: unknown"
        return
    rows = [[label for _, label in _COLUMNS], *([_cell(queue, key) for key, _ in _COLUMNS] for queue in seen["queues"])]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()


def _cell(queue: Mapping[str, Any], key: str) -> str:
    value = queue[key]
    if key == "forecast":
        return _forecast(queue)
    if value is None:
        return _UNKNOWN
    if key == "oldest_wait_seconds":
        return f"{value:.1f} s" if value else "-"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _forecast(queue: Mapping[str, Any]) -> str:
    words = str(queue["forecast"]).replace("_", " ")
    if queue["eta_seconds"]:
        words += f", {queue['eta_seconds']:.0f} s"
    return f"{words} (by {queue['paused_by']})" if queue["paused_by"] else words


def _rest(seen: Mapping[str, Any]) -> Iterator[str]:
    yield _line("workers", seen["workers"], "{live} live, {busy} of {threads} threads busy")
    if seen["workers"] and len(seen["workers"]["releases"]) > 1:
        yield f"releases: {', '.join(name or '(none)' for name in seen['workers']['releases'])}"
    yield _line("recorder", seen["recorder"], "{waiting} waiting, {lag_seconds} s behind")
    yield _line("not pushed", seen["not_pushed"], "{count}, the oldest for {oldest_seconds} s")
    yield _runs(seen["runs"])
    for name in ("paused", "circuits", "incidents"):
        yield _list(name, seen[name])


def _line(name: str, value: Mapping[str, Any] | None, words: str) -> str:
    return f"{name}: {_UNKNOWN if value is None else words.format(**value)}"


def _runs(counts: Mapping[str, int] | None) -> str:
    if counts is None:
        return f"runs: {_UNKNOWN}"
    return "runs: " + ", ".join(
        f"{count:,}{'+' if count >= status.COUNT_CAP else ''} {state}" for state, count in counts.items()
    )


def _list(name: str, found: list[Any] | None) -> str:
    if found is None:
        return f"{name}: {_UNKNOWN}"
    words = [
        one if isinstance(one, str) else " ".join(str(part) for part in list(one.values())[:2] if part) for one in found
    ]
    return f"{name}: {', '.join(words) or 'none'}"

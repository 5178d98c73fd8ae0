"""Jobs that tell what they saw, for tests of the test tools. They run in the test's own process."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError

from jobs import DiscardJob, JobTimedOut, RetryPolicy, Unique, current_run, fixed, job

# What the jobs saw, oldest first. A fixture empties it.
seen: list[Any] = []


@job(name="testing.note")
def note(*words: Any, again: bool = False) -> None:
    seen.append(list(words))


@job(name="testing.introduce")
def introduce() -> None:
    run = current_run()
    seen.append((run.id, run.name, run.queue, run.attempt, run.attempts))


@job(name="testing.delegate")
def delegate(words: list[str]) -> None:
    for word in words:
        note.enqueue(word)
    seen.append("delegated")


@job(name="testing.recur")
def recur() -> None:
    recur.enqueue()


@job(name="testing.recur_later")
def recur_later() -> None:
    seen.append("again")
    recur_later.enqueue_in(60)


@job(name="testing.end_by", retry=1)
def end_by(kind: str) -> None:
    raise {
        "value": ValueError("no"),
        "discard": DiscardJob("nothing to do"),
        "exit": SystemExit(3),
        "ctrl-c": KeyboardInterrupt(),
        "database": IntegrityError("twice"),
        "time": JobTimedOut("late"),
    }[kind]


@job(name="testing.only", unique="args")
def only(key: str) -> None:
    seen.append(key)


@job(name="testing.only_again", unique="args")
def only_again(times: int) -> None:
    """Asks for itself while it is pending."""
    seen.append(only_again.enqueue(times).created)


@job(name="testing.end_unique", retry=1, unique="args")
def end_unique(key: str) -> None:
    raise ValueError(key)


@job(name="testing.latest", unique=Unique(["key"], on_conflict="replace"))
def latest(key: str, words: str) -> None:
    seen.append(words)


@job(name="testing.refused", unique=Unique(on_conflict="raise"))
def refused(key: str) -> None:
    seen.append(key)


@job(name="testing.until_started", unique=Unique(["key"], until="started"))
def until_started(key: str, times: int) -> None:
    """Asks for itself once more while it runs."""
    seen.append(until_started.enqueue(key, 0).created if times else "last")


@job(name="testing.call_partner", circuit="testing.partner", retry=RetryPolicy(attempts=10, backoff=fixed(1)))
def call_partner() -> None:
    seen.append("called")
    raise ConnectionError("no answer")

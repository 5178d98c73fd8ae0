"""What a schedule says, and what follows of it: which missed due times run, and what a run does that finds the one
before it still going. Reads no clock and draws no dice.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from jobs.errors import BadSchedule, did_you_mean
from jobs.policy.cron import Cron, Passed

# What becomes of due times that passed while nobody looked.
SKIP, ONCE, ALL = "skip", "once", "all"
MISSED = (SKIP, ONCE, ALL)
# What becomes of a due time while a run of the same schedule is pending.
ALLOW, QUEUE = "allow", "queue"
OVERLAP = (ALLOW, SKIP, QUEUE)
DEFAULT_GRACE_SECONDS = 60.0
DEFAULT_WAITING = 10
# What one look asks for at the most.
MOST_MISSED = 1000
MOST_WAITING = 1000
# Above it, a schedule's runs would mix with those of the day after.
LONGEST_JITTER_SECONDS = 86_400.0
_LONGEST_SECONDS = 30 * 86_400.0
# Values of arguments that stand for the time for which a run is asked.
DUE, DAY, MONTH = "{due}", "{day}", "{month}"

OverlapVerdict = Literal["ask", "wait", "skip"]


@dataclass(frozen=True)
class AllUpTo:
    """See `all_up_to`."""

    most: int

    def __post_init__(self) -> None:
        if isinstance(self.most, bool) or not isinstance(self.most, int) or not 1 <= self.most <= MOST_MISSED:
            raise BadSchedule(f"all_up_to({self.most!r}): pass a whole number from 1 to {MOST_MISSED}")


def all_up_to(most: int) -> AllUpTo:
    """Of the due times that passed while no worker looked, run the latest `most`, each by itself.

    >>> all_up_to(24)
    AllUpTo(most=24)
    """
    return AllUpTo(most)


@dataclass(frozen=True)
class Terms:
    """All that may be said of a schedule beside its name, as its row has it. Times are in seconds.

    `queue` is empty for the job's own, `late_after` None for the project's, `on_late` empty for the project's.
    Raises `BadSchedule` for what cannot be.
    """

    job: str
    expression: str
    timezone: str
    queue: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    missed: str = ONCE
    most_missed: int = 1
    grace: float = DEFAULT_GRACE_SECONDS
    overlap: str = ALLOW
    most_waiting: int = DEFAULT_WAITING
    jitter: float = 0.0
    late_after: float | None = None
    on_late: str = ""

    def __post_init__(self) -> None:
        Cron(self.expression, self.timezone)
        _check_text("queue", self.queue, "the name of a queue in RQ_QUEUES, or nothing for the job's own")
        _check_text("on_late", self.on_late, "a job, or the name of one")
        _check_arguments(self.arguments)
        _check_choice("missed", self.missed, MISSED)
        _check_choice("overlap", self.overlap, OVERLAP)
        _check_count("most_missed", self.most_missed, MOST_MISSED)
        _check_count("most_waiting", self.most_waiting, MOST_WAITING)
        _check_seconds("grace", self.grace, _LONGEST_SECONDS)
        _check_seconds("jitter", self.jitter, LONGEST_JITTER_SECONDS)
        if self.late_after is not None:
            _check_seconds("late_after", self.late_after, _LONGEST_SECONDS, least=1.0)

    @property
    def cron(self) -> Cron:
        return Cron(self.expression, self.timezone)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


FIELDS = tuple(one.name for one in fields(Terms))


def changed(terms: Terms, changes: Mapping[str, Any]) -> Terms:
    """These terms with others in them. Raises `BadSchedule` for what cannot be, or is no term."""
    for word in changes:
        if word not in FIELDS:
            raise BadSchedule(f"A schedule has no {word!r}.{did_you_mean(word, FIELDS)} It has {', '.join(FIELDS)}.")
    return replace(terms, **changes)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The terms in which two differ, in their order."""
    return [name for name in FIELDS if before.get(name) != after.get(name)]


def digest(timetable: Mapping[str, Terms]) -> str:
    """Equal for code that declares the same schedules."""
    told = {name: terms.as_json() for name, terms in timetable.items()}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


# What follows.


def to_run(passed: Passed, terms: Terms, *, now: datetime) -> tuple[datetime, ...]:
    """Of the due times that lie behind, those that run now. A single one that has just come is among them.

    `once`: the latest. `skip`: the latest, unless it is older than the grace. `all`: the latest few, each.
    """
    if terms.missed == ALL:
        return passed.latest[-terms.most_missed :]
    latest = passed.latest[-1]
    if terms.missed == SKIP and now - latest > timedelta(seconds=terms.grace):
        return ()
    return (latest,)


def most_to_run(terms: Terms) -> int:
    """How many due times can run at one look."""
    return terms.most_missed if terms.missed == ALL else 1


def on_overlap(terms: Terms, *, pending: bool, waiting: int) -> OverlapVerdict:
    """What becomes of a due time, while a run of the schedule is pending and so many due times wait for that."""
    if terms.overlap == ALLOW or not (pending or waiting):
        return "ask"
    if terms.overlap == SKIP or waiting >= terms.most_waiting:
        return "skip"
    return "wait"


def jitter_of(name: str, due: datetime, jitter: float) -> timedelta:
    """How much later than due a run starts: below `jitter` seconds, and the same whoever asks.

    >>> due = datetime.fromisoformat("2026-05-04T03:00+00:00")
    >>> jitter_of("reports", due, 60) == jitter_of("reports", due, 60)
    True
    """
    drawn = hashlib.sha256(f"{name} {due.timestamp():.0f}".encode()).digest()
    return timedelta(seconds=jitter * int.from_bytes(drawn[:6], "big") / 2**48)


def filled(arguments: Mapping[str, Any], due: datetime, timezone: str) -> dict[str, Any]:
    """The arguments of the run for this due time: `"{due}"`, `"{day}"` and `"{month}"` as a whole value are replaced.

    >>> filled({"day": "{day}", "note": "{due}"}, datetime.fromisoformat("2026-05-03T22:30+00:00"), "Europe/Berlin")
    {'day': '2026-05-04', 'note': '2026-05-04T00:30:00+02:00'}
    """
    local = due.astimezone(Cron("@daily", timezone).zone)
    words = {DUE: local.isoformat(timespec="seconds"), DAY: local.date().isoformat(), MONTH: f"{local:%Y-%m}"}
    return {name: words.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}


def _check_text(name: str, value: Any, wanted: str) -> None:
    if not isinstance(value, str) or len(value) > 200:
        raise BadSchedule(f"{name}={value!r}: pass {wanted}")


def _check_arguments(arguments: Any) -> None:
    # The values are not said: some may be secrets.
    if not isinstance(arguments, dict) or not all(isinstance(name, str) for name in arguments):
        raise BadSchedule(
            f"arguments: they are of the type {type(arguments).__name__}; pass a dict of the job's parameters by their "
            "names, and their values"
        )
    try:
        plain = json.loads(json.dumps(arguments, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise BadSchedule(f"arguments: pass plain JSON ({error})") from error
    if plain != arguments:
        raise BadSchedule("arguments: pass plain JSON: lists for tuples, texts for keys")


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise BadSchedule(f"{name}={value!r}: pass one of {', '.join(choices)}.{did_you_mean(str(value), choices)}")


def _check_count(name: str, value: Any, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise BadSchedule(f"{name}={value!r}: pass a whole number from 1 to {most}")


def _check_seconds(name: str, value: Any, most: float, *, least: float = 0.0) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not least <= value <= most:
        raise BadSchedule(f"{name}={value!r}: pass seconds from {least:g} to {most:g}")

"""How many runs of a job may go on at once, or start within a time. Counts nothing and waits for nothing."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.errors import BadOptions, did_you_mean

# One parameter's name, several, or none for the whole job.
Key = str | Sequence[str] | None

# Each start in a window is kept until it is over, in about 100 bytes.
_MOST_PER_WINDOW = 100_000
_LONGEST_WINDOW_SECONDS = 31 * 86_400
_SHORTEST_WINDOW_SECONDS = 0.01
_LONGEST_NAME = 100
# A longer text of a key's values is told by its hash.
_LONGEST_VALUES = 60
_NO_NAME = re.compile(r"[^!-~]")


@dataclass(frozen=True)
class Limit:
    """At most so many runs at once; or, with `seconds`, at most so many starts in any time of that length.

    They are counted apart for each value of the parameters in `key`. Limits of one `name` count together, whichever
    job has them; an empty one is the job's own. Made by `at_once` and `per_window`.
    """

    most: int
    key: tuple[str, ...] = ()
    name: str = ""
    seconds: float | None = None

    @property
    def kind(self) -> str:
        return "at_once" if self.seconds is None else "per_window"

    @property
    def id(self) -> str:
        """What its numbers are found by; free of white space."""
        return f"{self.kind}:{self.name}"

    @property
    def numbers(self) -> tuple[int, int]:
        """How many, and within how many microseconds: 0 is at once."""
        return self.most, round((self.seconds or 0) * 1_000_000)

    def counts_as(self, other: Limit) -> bool:
        """Whether both say the same; their parameters may have other names."""
        return (self.numbers, len(self.key)) == (other.numbers, len(other.key))

    def __str__(self) -> str:
        how_many = f"{self.most} at once" if self.seconds is None else f"{self.most} per {self.seconds:g} s"
        return f"{how_many} for each {' and '.join(self.key)}" if self.key else how_many


def at_once(most: int, *, key: Key = None, name: str | None = None) -> Limit:
    """At most `most` runs at the same time, over all workers of all hosts.

    `key` counts apart for each value of a parameter, or of a list of them. `name` is for a limit that several jobs
    share. Raises `BadOptions`.

    >>> str(at_once(2, key="customer_id"))
    '2 at once for each customer_id'
    """
    called = f"at_once({most!r}, …)"
    _check_most(most, called)
    return Limit(most, _key(key, called), _name(name, called))


def per_window(most: int, *, seconds: float, key: Key = None, name: str | None = None) -> Limit:
    """At most `most` starts in any `seconds` seconds, over all workers of all hosts.

    The window slides: there is no full hour at which all begins anew. `key` and `name` as for `at_once`.
    Raises `BadOptions`.

    >>> str(per_window(100, seconds=60))
    '100 per 60 s'
    """
    called = f"per_window({most!r}, …)"
    _check_most(most, called)
    if most > _MOST_PER_WINDOW:
        raise BadOptions(f"{called}: each start is remembered; pass up to {_MOST_PER_WINDOW}, or a shorter window")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
    if not is_number or not _SHORTEST_WINDOW_SECONDS <= seconds <= _LONGEST_WINDOW_SECONDS:
        raise BadOptions(
            f"{called}: seconds={seconds!r}: pass seconds from {_SHORTEST_WINDOW_SECONDS} "
            f"to {_LONGEST_WINDOW_SECONDS} (31 days)"
        )
    return Limit(most, _key(key, called), _name(name, called), float(seconds))


def check(limits: object, parameters: Sequence[str], *, job: str) -> tuple[Limit, ...]:
    """A job's limits, each with its name.

    Raises `BadOptions` for what is no list of limits, a parameter that the job does not have, and two of one name.
    """
    if not isinstance(limits, Sequence) or not all(isinstance(one, Limit) for one in limits):
        raise BadOptions(
            f"{job}: limits={limits!r}: pass a list of limits such as [at_once(2), per_window(9, seconds=60)]"
        )
    for one in limits:
        for word in one.key:
            if word not in parameters:
                near = did_you_mean(word, parameters)
                raise BadOptions(
                    f"{job}: a limit's key is {word!r}, which is none of its parameters.{near} {parameters}"
                )
    named = tuple(one if one.name else replace(one, name=_own_name(job, one.key)) for one in limits)
    ids = [one.id for one in named]
    if len(set(ids)) < len(ids):
        raise BadOptions(f"{job}: two of its limits are the same but for their numbers: {ids}; drop one, or name them")
    return named


def group(limits: Iterable[Limit], *, job: str, arguments: Mapping[str, Any]) -> str:
    """What the lane of a run is named by within its queue: the job, and for each limit what it is counted under.

    `arguments` are by parameter, defaults included.

    >>> limits = check([at_once(2, key="customer"), per_window(9, seconds=1)], ["customer"], job="a.b")
    >>> group(limits, job="a.b", arguments={"customer": 7})
    'a.b\\tat_once:a.b[customer] 7\\tper_window:a.b'
    """
    return "\t".join([_NO_NAME.sub("_", job), *(_counted_under(one, arguments) for one in limits)])


def numbers(limits: Iterable[Limit]) -> dict[str, tuple[int, int]]:
    """The numbers of all these limits by their ids; of two that differ, the stricter ones."""
    found: dict[str, tuple[int, int]] = {}
    for one in limits:
        found[one.id] = min(one.numbers, found.get(one.id, one.numbers))
    return found


def disagreeing(limits: Mapping[str, Iterable[Limit]]) -> list[tuple[str, list[str]]]:
    """Names that jobs share for limits which say different things, each with these jobs; `limits` is by job."""
    found: dict[str, list[tuple[str, Limit]]] = {}
    for job, some in limits.items():
        for one in some:
            found.setdefault(one.id, []).append((job, one))
    return [
        (limit_id, [job for job, _ in having])
        for limit_id, having in found.items()
        if not all(one.counts_as(having[0][1]) for _, one in having)
    ]


def _counted_under(limit: Limit, arguments: Mapping[str, Any]) -> str:
    if not limit.key:
        return limit.id
    values = [arguments.get(word) for word in limit.key]
    # A default need not be JSON; its class's name is the same in every process.
    text = json.dumps(
        values[0] if len(values) == 1 else values,
        sort_keys=True,
        separators=(",", ":"),
        default=lambda it: type(it).__qualname__,
    )
    # JSON has no control characters, and begins with no "~".
    if len(text) > _LONGEST_VALUES:
        text = f"~{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    return f"{limit.id} {text}"


def _own_name(job: str, key: Sequence[str]) -> str:
    return _NO_NAME.sub("_", job) + (f"[{','.join(key)}]" if key else "")


def _check_most(most: object, called: str) -> None:
    if isinstance(most, bool) or not isinstance(most, int) or not 0 < most < 2**31:
        raise BadOptions(f"{called}: pass a whole number from 1")


def _key(key: Key, called: str) -> tuple[str, ...]:
    words = () if key is None else (key,) if isinstance(key, str) else key
    if not isinstance(words, Sequence) or not all(isinstance(word, str) and word for word in words):
        raise BadOptions(f"{called}: key={key!r}: pass a parameter's name, or a list of them")
    return tuple(words)


def _name(name: str | None, called: str) -> str:
    if name is None:
        return ""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or _NO_NAME.search(name):
        raise BadOptions(
            f"{called}: name={name!r}: pass up to {_LONGEST_NAME} letters, digits and signs without spaces"
        )
    return name

"""The rules that alerts go by: what each kind looks at, what the code says of it, and what was changed in that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Literal

CRITICAL, WARNING = "critical", "warning"
SEVERITIES = (CRITICAL, WARNING)
LONGEST_SCOPE = 200

# What a limit is a number of. A fact has none: it is so, or it is not.
Unit = Literal["runs", "seconds", "percent", "deaths", "fact"]
ScopeOf = Literal["", "queue", "job", "schedule", "circuit", "rule"]


@dataclass(frozen=True)
class Rule:
    """A value above `limit`, for `for_seconds` or longer, is an incident. `scope` is empty where there is one only."""

    kind: str
    scope: str
    limit: float
    for_seconds: float = 0.0
    severity: str = WARNING
    is_on: bool = True
    silenced_until: datetime | None = None


@dataclass(frozen=True)
class Change:
    """What is other than it would be without it; None is as it was."""

    limit: float | None = None
    for_seconds: float | None = None
    severity: str | None = None
    is_on: bool | None = None
    silenced_until: datetime | None = None

    @property
    def is_any(self) -> bool:
        """Whether it changes anything."""
        return any(getattr(self, field.name) is not None for field in fields(self))


@dataclass(frozen=True)
class Kind:
    """What a rule looks at: `unit` is what its limit counts, `of` what there is one for each of."""

    unit: Unit
    of: ScopeOf
    rule: Rule


Key = tuple[str, str]
Changes = Mapping[Key, Change]


def _kinds(*rules: tuple[Unit, ScopeOf, Rule]) -> dict[str, Kind]:
    return {rule.kind: Kind(unit, of, rule) for unit, of, rule in rules}


# In the order in which pages show them. How long a fact must last is long enough for a restart.
KINDS: dict[str, Kind] = _kinds(
    ("runs", "queue", Rule("waiting", "", 1000, for_seconds=60)),
    ("seconds", "queue", Rule("wait", "", 900, for_seconds=30)),
    ("fact", "queue", Rule("no_worker", "", 0, for_seconds=120, severity=CRITICAL)),
    ("seconds", "queue", Rule("paused", "", 3600)),
    ("percent", "job", Rule("failing", "", 2)),
    ("deaths", "", Rule("dying", "", 10)),
    ("runs", "", Rule("retrying", "", 100)),
    ("fact", "schedule", Rule("schedule", "", 0)),
    ("fact", "", Rule("workflow", "", 0)),
    ("seconds", "circuit", Rule("circuit", "", 900)),
    ("seconds", "", Rule("recorder", "", 60, severity=CRITICAL)),
    ("runs", "", Rule("unpushed", "", 0, for_seconds=120)),
    ("fact", "", Rule("redis", "", 0, for_seconds=20, severity=CRITICAL)),
    ("percent", "", Rule("memory", "", 80, severity=CRITICAL)),
    ("fact", "", Rule("eviction", "", 0, severity=CRITICAL)),
    ("fact", "rule", Rule("unchecked", "", 0, for_seconds=300)),
    ("seconds", "", Rule("silence", "", 300, severity=CRITICAL)),
)

# What the code says of some queues, by the names that its documents use.
OF_CODE: Changes = {
    ("waiting", "critical"): Change(limit=100),
    ("waiting", "default"): Change(limit=1000),
    ("waiting", "low"): Change(limit=5000),
    ("wait", "critical"): Change(limit=60, severity=CRITICAL),
    ("wait", "default"): Change(limit=300),
    ("wait", "low"): Change(limit=3600),
}


@dataclass(frozen=True)
class Rulebook:
    """The rules in force: `layers` are changes, the weakest first.

    What is said of one scope goes before what is said of all, whichever layer says it.
    """

    layers: tuple[Changes, ...] = (OF_CODE,)

    def of(self, kind: str, scope: str = "") -> Rule:
        """The rule for one scope of a kind."""
        rule = replace(KINDS[kind].rule, scope=scope)
        for key in dict.fromkeys([(kind, ""), (kind, scope)]):
            for layer in self.layers:
                rule = _changed(rule, layer.get(key, Change()))
        return rule

    def all(self) -> Iterator[Rule]:
        """Those for all scopes of each kind, each followed by those for some."""
        named = sorted({key for layer in self.layers for key in layer if key[1] and key[0] in KINDS})
        for kind in KINDS:
            yield self.of(kind)
            yield from (self.of(*key) for key in named if key[0] == kind)


def _changed(rule: Rule, change: Change) -> Rule:
    said = {field.name: getattr(change, field.name) for field in fields(change)}
    return replace(rule, **{name: value for name, value in said.items() if value is not None})


def key_of(text: str) -> Key:
    """Kind and scope of what settings and commands write: `waiting`, or `waiting:critical`.

    Raises ValueError for a kind that there is not, or a scope where there can be none.
    """
    kind, _, scope = text.partition(":")
    if kind not in KINDS:
        raise ValueError(f'there is no rule "{kind}": there are {", ".join(KINDS)}')
    if scope and not KINDS[kind].of:
        raise ValueError(f'the rule "{kind}" looks at one thing only: write it without ":{scope}"')
    if len(scope) > LONGEST_SCOPE:
        raise ValueError(f"a name has {LONGEST_SCOPE} characters at the most")
    return kind, scope


def text_of(kind: str, scope: str) -> str:
    """How settings and commands write it.

    >>> text_of("waiting", "critical"), text_of("dying", "")
    ('waiting:critical', 'dying')
    """
    return f"{kind}:{scope}" if scope else kind

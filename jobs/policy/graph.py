"""What follows in a graph of steps, from what became of each. Starts nothing, and knows no batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

# What a step may wait for in one before it: that it succeeded, that it failed, or its end, however it was.
SUCCESS, FAILURE, END = "success", "failure", "end"
ALL, ANY = "all", "any"

# What is known of a step by itself, where anything is. `PASSED`: skipped by hand, so that the others go on as if it
# had succeeded. `UNMET`: its condition does not hold.
RUNNING, SUCCEEDED, FAILED, CANCELLED, PASSED, UNMET = "running", "succeeded", "failed", "cancelled", "passed", "unmet"
# What else the state of a step may be.
WAITING, READY, SKIPPED, BLOCKED = "waiting", "ready", "skipped", "blocked"

_OPEN = (WAITING, READY, RUNNING)


@dataclass(frozen=True)
class Node:
    """A step: what it comes after, as pairs of step and what it waits for there, and what is known of it by itself."""

    name: str
    after: Sequence[tuple[str, str]] = ()
    needs: str = ALL
    fact: str = ""


@dataclass(frozen=True)
class Standing:
    """Where a step stands, and why, where that follows from others."""

    state: str
    why: str = ""
    # Skipped by hand: for those after it, it has succeeded.
    passed: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in _OPEN


def order(after: Mapping[str, Iterable[str]]) -> list[str]:
    """The names in an order in which each stands behind those that it comes after.

    Raises `ValueError`, with the names that go in a circle.

    >>> order({"ship": ["pack"], "pack": ["pay"], "pay": []})
    ['pay', 'pack', 'ship']
    """
    try:
        return list(TopologicalSorter(after).static_order())
    except CycleError as error:
        raise ValueError(list(reversed(error.args[1]))) from error


def standings(nodes: Iterable[Node], *, cancelled: bool = False) -> dict[str, Standing]:
    """Where each step stands. Each node must stand behind those that it comes after.

    1. A step of which something is known by itself is what that says.
    2. One that needs all waits for all, and is blocked by the first that fails it. A step before it that was skipped is
       left out of account, unless all were.
    3. One that needs any is ready with the first.
    4. In a workflow that was cancelled, what has not begun is cancelled.

    >>> told = standings([Node("pay", fact="failed"), Node("ship", [("pay", "success")]),
    ...                   Node("tell", [("pay", "failure")])])
    >>> {name: standing.state for name, standing in told.items()}
    {'pay': 'failed', 'ship': 'blocked', 'tell': 'ready'}
    """
    found: dict[str, Standing] = {}
    for node in nodes:
        found[node.name] = _standing(node, found, cancelled=cancelled)
    return found


def end(nodes: Iterable[Node], found: Mapping[str, Standing], *, cancelled: bool = False) -> str:
    """How the workflow stands: running, succeeded, failed or cancelled.

    A failed step makes it fail, unless one that was to follow on that failure has succeeded.
    """
    if cancelled:
        return CANCELLED
    if any(standing.is_open for standing in found.values()):
        return RUNNING
    handled = {
        before
        for node in nodes
        if found[node.name].state == SUCCEEDED or found[node.name].passed
        for before, wanted in node.after
        if wanted == FAILURE
    }
    failed = {name for name, standing in found.items() if standing.state in (FAILED, CANCELLED)}
    return FAILED if failed - handled else SUCCEEDED


def downstream(nodes: Iterable[Node], names: Iterable[str]) -> list[str]:
    """The steps of these names and all that come after them, in the order of the nodes.

    >>> downstream([Node("a"), Node("b", [("a", "end")]), Node("c", [("b", "success")]), Node("d")], ["b"])
    ['b', 'c']
    """
    reached = set(names)
    for node in nodes:
        if any(before in reached for before, _ in node.after):
            reached.add(node.name)
    return [node.name for node in nodes if node.name in reached]


def never(after: Iterable[tuple[str, str]], needs: str) -> str:
    """The step of which both success and failure are wanted, so that what needs all can never begin; or nothing."""
    wanted = set(after)
    both = [name for name, what in wanted if what == SUCCESS and (name, FAILURE) in wanted]
    return min(both, default="") if needs == ALL else ""


def _standing(node: Node, found: Mapping[str, Standing], *, cancelled: bool) -> Standing:
    if node.fact == PASSED:
        return Standing(SKIPPED, passed=True)
    if node.fact == UNMET:
        return Standing(SKIPPED)
    if node.fact:
        return Standing(node.fact)
    if cancelled:
        return Standing(CANCELLED, "the workflow was cancelled")
    if not node.after:
        return Standing(READY)
    answers = [_answer(name, wanted, found[name]) for name, wanted in node.after]
    return _all(answers) if node.needs == ALL else _any(answers)


# What a step hears from one before it: "met", "pending", "left out" (it was skipped), or the end of its hopes.
_Answer = tuple[str, str]


def _answer(name: str, wanted: str, before: Standing) -> _Answer:
    if before.is_open:
        return "pending", ""
    if wanted == END:
        return "met", ""
    if wanted == FAILURE:
        return ("met", "") if before.state == FAILED else (SKIPPED, f'"{name}" did not fail')
    if before.state == SUCCEEDED or before.passed:
        return "met", ""
    if before.state == SKIPPED:
        return "left out", f'"{name}" was skipped'
    return BLOCKED, f'"{name}" {"was" if before.state != FAILED else "has"} {before.state}'


def _all(answers: Sequence[_Answer]) -> Standing:
    heard = dict(reversed(answers))
    if BLOCKED in heard:
        return Standing(BLOCKED, heard[BLOCKED])
    # Also where it is to be skipped: one that fails yet would block it, and all orders are to come to one end.
    if "pending" in heard:
        return Standing(WAITING)
    if SKIPPED in heard:
        return Standing(SKIPPED, heard[SKIPPED])
    return Standing(READY) if "met" in heard else Standing(SKIPPED, answers[0][1])


def _any(answers: Sequence[_Answer]) -> Standing:
    heard = dict(reversed(answers))
    if "met" in heard:
        return Standing(READY)
    if "pending" in heard:
        return Standing(WAITING)
    return Standing(BLOCKED, heard[BLOCKED]) if BLOCKED in heard else Standing(SKIPPED, answers[0][1])

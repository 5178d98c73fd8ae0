"""A workflow as lines of text: each step under the first of those that it comes after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.models import WorkflowStep
from jobs.models.workflows import StepState
from jobs.policy import references
from jobs.policy.graph import ANY, END, FAILURE

_MARKS = {
    StepState.WAITING: "·",
    StepState.RUNNING: ">",
    StepState.SUCCEEDED: "+",
    StepState.FAILED: "!",
    StepState.SKIPPED: "-",
    StepState.BLOCKED: "x",
    StepState.CANCELLED: "x",
}
_WANTED = {FAILURE: "the failure of ", END: "the end of "}
# What is deeper stands no further to the right: a chain of a hundred steps is read downwards.
_DEEPEST = 8


def lines(steps: Sequence[WorkflowStep]) -> Iterator[str]:
    """A line for each step, in an order in which it stands under one that it comes after."""
    under: dict[str, list[WorkflowStep]] = {}
    for step in steps:
        under.setdefault(step.after[0][0] if step.after else "", []).append(step)
    ahead = [(step, 0) for step in reversed(under.get("", []))]
    while ahead:
        step, depth = ahead.pop()
        yield f"{'  ' * min(depth, _DEEPEST)}{_line(step)}"
        ahead += [(inner, depth + 1) for inner in reversed(under.get(step.name, []))]


def _line(step: WorkflowStep) -> str:
    words = [f"{_MARKS[StepState(step.state)]} {step.name}", step.get_state_display(), step.job]
    if step.size > 1:
        words.append(f"{step.size:,} runs")
    words += filter(None, [_comes_after(step), _if(step)])
    if step.why:
        words.append(f"({step.why})")
    return "  ".join(words)


def _comes_after(step: WorkflowStep) -> str:
    told = [f"{_WANTED.get(wanted, '')}{name}" for name, wanted in step.after]
    if len(told) == 1 and told[0] == step.after[0][0]:
        # It stands under that one.
        return ""
    return f"after {'any of ' if step.needs == ANY else ''}{', '.join(told)}" if told else ""


def _if(step: WorkflowStep) -> str:
    return f"if {' and '.join(map(references.in_words, step.when))}" if step.when else ""

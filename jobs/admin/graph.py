"""A workflow's graph as a page draws it: boxes with words and shapes, lines between them. Asks no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.text import Truncator

from jobs.models import WorkflowStep
from jobs.models.workflows import StepState
from jobs.policy import layout
from jobs.policy.graph import ANY

# What a box is wide; its link has the whole name.
_LETTERS = 20
# How far a line goes straight before it bends.
_BEND = 20
_IF = "if"


@dataclass(frozen=True)
class DrawnStep:
    """A box: its step, where it stands, and where its link leads."""

    step: WorkflowStep
    x: int
    y: int
    address: str

    @property
    def label(self) -> str:
        return Truncator(self.step.name).chars(_LETTERS)

    @property
    def marks(self) -> list[str]:
        """That it begins with the first of several, and that it begins on conditions only."""
        needs_any = self.step.needs == ANY and len(self.step.after) > 1
        return [mark for mark, holds in ((ANY, needs_any), (_IF, bool(self.step.when))) if holds]

    @property
    def has_begun(self) -> bool:
        return self.step.state in (StepState.RUNNING, StepState.SUCCEEDED, StepState.FAILED)


@dataclass(frozen=True)
class DrawnEdge:
    """A line: how it runs, its head, and what is waited for at its beginning."""

    path: str
    head: str
    wanted: str


@dataclass(frozen=True)
class Drawing:
    """A graph, and the room that it needs."""

    boxes: tuple[DrawnStep, ...]
    edges: tuple[DrawnEdge, ...]
    width: int
    height: int
    box_width: int = layout.BOX_WIDTH
    box_height: int = layout.BOX_HEIGHT

    @property
    def kinds(self) -> set[str]:
        """What its legend explains: what is waited for, that the first of several will do, or conditions."""
        marks = {mark for box in self.boxes for mark in box.marks}
        return {edge.wanted for edge in self.edges} | marks


def drawing(steps: Sequence[WorkflowStep], addresses: Mapping[int, str]) -> Drawing:
    """The graph of these steps; `addresses` says where each leads, by its key."""
    step_of = {step.name: step for step in steps}
    wanted = {(before, step.name): what for step in steps for before, what in step.after}
    places = layout.layout({step.name: [before for before, _ in step.after if before in step_of] for step in steps})
    boxes = [DrawnStep(step_of[box.name], box.x, box.y, addresses[step_of[box.name].pk]) for box in places.boxes]
    edges = [DrawnEdge(_path(edge.points), _head(edge.points), wanted[edge.start, edge.end]) for edge in places.edges]
    return Drawing(tuple(boxes), tuple(edges), places.width, places.height)


def _path(points: Sequence[tuple[int, int]]) -> str:
    """Bent between two rows, straight where it passes one."""
    return " ".join(_parts(points))


def _parts(points: Sequence[tuple[int, int]]) -> Iterator[str]:
    (x, y), *_ = points
    yield f"M{x} {y}"
    for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        is_between_rows = number % 2 == 0
        yield f"C{x} {y + _BEND} {to_x} {to_y - _BEND} {to_x} {to_y}" if is_between_rows else f"L{to_x} {to_y}"


def _head(points: Sequence[tuple[int, int]]) -> str:
    x, y = points[-1]
    return f"M{x - 4} {y - 7}L{x} {y - 1}L{x + 4} {y - 7}"

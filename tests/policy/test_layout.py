from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy.layout import BOX_HEIGHT, BOX_WIDTH, GAP, MARGIN, MOST_IN_A_ROW, Box, Edge, Layout, layout

Graph = Mapping[str, list[str]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Steps that come after some of those before them."""
    count = draw(st.integers(1, 25))
    names = [f"step {number}" for number in range(count)]
    after = {
        name: draw(st.lists(st.sampled_from(names[:number]), max_size=4)) if number else []
        for number, name in enumerate(names)
    }
    return dict(draw(st.permutations(list(after.items()))))


def fan(width: int) -> Graph:
    middle = [f"part {number}" for number in range(width)]
    return {"split": [], **{name: ["split"] for name in middle}, "join": middle}


def ladder(steps: int) -> Graph:
    """Each comes after the one, the two and the seven before it."""
    return {str(n): [str(n - back) for back in (1, 2, 7) if n >= back] for n in range(steps)}


EXAMPLES = [
    {"alone": []},
    {"a": [], "b": []},
    {"pay": [], "ship": ["pay"], "failed": ["pay"], "tell": ["ship", "failed"]},
    fan(4),
    fan(30),
    ladder(50),
]


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + BOX_WIDTH
        and other.x < one.x + BOX_WIDTH
        and one.y < other.y + BOX_HEIGHT
        and other.y < one.y + BOX_HEIGHT
    )


def runs_through(edge: Edge, box: Box) -> bool:
    """Whether the edge enters a box's row within its width. Between the rows there are no boxes."""
    return box.name not in (edge.start, edge.end) and any(
        box.x <= x <= box.x + BOX_WIDTH and box.y <= y <= box.y + BOX_HEIGHT for x, y in edge.points
    )


def check(graph: Graph, drawn: Layout) -> None:
    boxes = {box.name: box for box in drawn.boxes}
    assert boxes.keys() == graph.keys()
    assert not [pair for pair in itertools.combinations(drawn.boxes, 2) if overlap(*pair)]
    assert {(edge.start, edge.end) for edge in drawn.edges} == {
        (start, end) for end, starts in graph.items() for start in starts
    }
    for edge in drawn.edges:
        assert boxes[edge.start].row < boxes[edge.end].row
        heights = [y for _, y in edge.points]
        assert heights == sorted(heights)
        assert not [box for box in drawn.boxes if runs_through(edge, box)]
    for x, y in [(box.x + BOX_WIDTH, box.y + BOX_HEIGHT) for box in drawn.boxes] + [
        point for edge in drawn.edges for point in edge.points
    ]:
        assert 0 < x < drawn.width
        assert 0 < y < drawn.height
    assert min(box.x for box in drawn.boxes) >= MARGIN


@pytest.mark.parametrize("graph", EXAMPLES, ids=lambda graph: f"{len(graph)} steps")
def test_no_boxes_overlap_and_every_edge_goes_forward_between_them(graph: Graph) -> None:
    check(graph, layout(graph))


@given(graphs())
@settings(max_examples=30, deadline=None)
def test_that_holds_for_any_graph(graph: Graph) -> None:
    check(graph, layout(graph))


def test_a_chain_stands_in_one_column() -> None:
    chain = {str(n): [str(n - 1)] if n else [] for n in range(6)}
    drawn = layout(chain)
    assert [box.row for box in drawn.boxes] == list(range(6))
    assert {box.x for box in drawn.boxes} == {MARGIN}
    assert drawn.width == BOX_WIDTH + 2 * MARGIN


def test_what_splits_stands_over_the_middle_of_its_parts() -> None:
    drawn = layout(fan(2))
    at = {box.name: box.x for box in drawn.boxes}
    assert at["split"] == at["join"]
    assert abs((at["part 0"] + at["part 1"]) / 2 - at["split"]) <= 1


def test_a_row_takes_no_more_than_a_window_is_wide() -> None:
    drawn = layout(fan(40))
    for row in range(max(box.row for box in drawn.boxes)):
        assert sum(box.row == row for box in drawn.boxes) <= MOST_IN_A_ROW
    # Edges that pass a row share their places: they make it little wider.
    assert drawn.width < (MOST_IN_A_ROW + 2) * (BOX_WIDTH + GAP)


def test_crossings_that_need_not_be_are_undone() -> None:
    drawn = layout({"a": [], "b": [], "c": [], "of c": ["c"], "of b": ["b"], "of a": ["a"]})
    column = {box.name: box.x for box in drawn.boxes}
    assert [column[f"of {name}"] for name in "abc"] == [column[name] for name in "abc"]


def test_what_comes_after_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="after themselves"):
        layout({"a": ["b"], "b": ["a"]})


def test_nothing_needs_no_room() -> None:
    assert layout({}) == Layout((), (), 0, 0)

"""What follows in graphs: tables of the rules, and any graph against an executor that was written another way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy import graph
from jobs.policy.graph import Node


def standing(after, needs="all", **facts):
    """Where a step stands behind others of which something is known."""
    others = [Node(name, fact=fact) for name, fact in facts.items()]
    return graph.standings([*others, Node("x", after, needs)])["x"]


S, F, E = "success", "failure", "end"


@pytest.mark.parametrize(
    ("after", "needs", "facts", "state"),
    [
        ([], "all", {}, "ready"),
        ([("a", S)], "all", {"a": "running"}, "waiting"),
        ([("a", S)], "all", {"a": "succeeded"}, "ready"),
        ([("a", S)], "all", {"a": "failed"}, "blocked"),
        ([("a", S)], "all", {"a": "passed"}, "ready"),
        # What is not needed takes along what hangs on it alone, and nothing else.
        ([("a", S)], "all", {"a": "unmet"}, "skipped"),
        ([("a", S), ("b", S)], "all", {"a": "unmet", "b": "succeeded"}, "ready"),
        ([("a", S), ("b", S)], "all", {"a": "unmet", "b": "running"}, "waiting"),
        ([("a", S), ("b", S)], "all", {"a": "unmet", "b": "unmet"}, "skipped"),
        # What cannot come any more decides before the rest is there.
        ([("a", S), ("b", S)], "all", {"a": "failed", "b": "running"}, "blocked"),
        ([("a", F)], "all", {"a": "failed"}, "ready"),
        ([("a", F)], "all", {"a": "succeeded"}, "skipped"),
        ([("a", F)], "all", {"a": "unmet"}, "skipped"),
        ([("a", F)], "all", {"a": "passed"}, "skipped"),
        ([("a", S), ("b", F)], "all", {"a": "succeeded", "b": "succeeded"}, "skipped"),
        ([("a", E)], "all", {"a": "failed"}, "ready"),
        ([("a", E)], "all", {"a": "unmet"}, "ready"),
        ([("a", E)], "all", {"a": "running"}, "waiting"),
        ([("a", S), ("b", S)], "any", {"a": "running", "b": "succeeded"}, "ready"),
        ([("a", S), ("b", S)], "any", {"a": "running", "b": "failed"}, "waiting"),
        ([("a", S), ("b", S)], "any", {"a": "failed", "b": "unmet"}, "blocked"),
        ([("a", F), ("b", F)], "any", {"a": "succeeded", "b": "failed"}, "ready"),
        ([("a", F), ("b", F)], "any", {"a": "succeeded", "b": "succeeded"}, "skipped"),
    ],
)
def test_a_step_stands_where_those_before_it_leave_it(after, needs, facts, state):
    assert standing(after, needs, **facts).state == state


@pytest.mark.parametrize(
    ("nodes", "ends"),
    [
        ([Node("a", fact="succeeded")], "succeeded"),
        ([Node("a", fact="running")], "running"),
        ([Node("a", fact="failed")], "failed"),
        ([Node("a", fact="failed"), Node("b", [("a", F)], fact="succeeded")], "succeeded"),
        ([Node("a", fact="failed"), Node("b", [("a", F)], fact="passed")], "succeeded"),
        ([Node("a", fact="failed"), Node("b", [("a", F)], fact="failed")], "failed"),
        # What comes after any end takes care of nothing.
        ([Node("a", fact="failed"), Node("b", [("a", E)], fact="succeeded")], "failed"),
        ([Node("a", fact="failed"), Node("b", [("a", F)])], "running"),
        ([Node("a", fact="unmet"), Node("b", [("a", S)])], "succeeded"),
    ],
)
def test_a_workflow_ends_as_its_failures_were_taken_care_of(nodes, ends):
    assert graph.end(nodes, graph.standings(nodes)) == ends


def test_what_was_cancelled_begins_nothing():
    nodes = [Node("a", fact="succeeded"), Node("b", [("a", S)]), Node("c", fact="running")]
    found = graph.standings(nodes, cancelled=True)
    assert {name: one.state for name, one in found.items()} == {"a": "succeeded", "b": "cancelled", "c": "running"}
    assert graph.end(nodes, found, cancelled=True) == "cancelled"


def test_a_reason_names_the_step_that_it_comes_from():
    assert standing([("a", S)], a="failed").why == '"a" has failed'
    assert standing([("a", F)], a="succeeded").why == '"a" did not fail'
    assert standing([("a", S)], a="unmet").why == '"a" was skipped'


def test_a_circle_is_named():
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        graph.order({"a": ["b"], "b": ["c"], "c": ["a"], "d": []})
    circle = refused.value.args[0]
    assert circle[0] == circle[-1]
    assert set(circle) == {"a", "b", "c"}


@st.composite
def graphs(draw):
    """Nodes in order, and what becomes of each that begins."""
    size = draw(st.integers(1, 50))
    nodes, fates = [], {}
    for number in range(size):
        before = draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True)) if number else []
        after = [(str(one), draw(st.sampled_from([S, S, S, F, E]))) for one in before]
        nodes.append(Node(str(number), after, draw(st.sampled_from(["all", "all", "any"]))))
        fates[str(number)] = draw(st.sampled_from(["succeeded", "succeeded", "failed", "unmet"]))
    return nodes, fates


def walk(nodes, fates, pick):
    """Let what is ready begin and end, in an order that `pick` says; returns the states, what began, and the end."""
    facts, began = {}, []
    while True:
        current = [Node(node.name, node.after, node.needs, facts.get(node.name, "")) for node in nodes]
        found = graph.standings(current)
        may_end = [name for name, fact in facts.items() if fact == "running"]
        ready = [name for name, one in found.items() if one.state == "ready"]
        if not (ready or may_end):
            return found, began, graph.end(current, found)
        name = pick([*ready, *may_end])
        if name in ready:
            began.append(name)
            facts[name] = "running" if fates[name] != "unmet" else "unmet"
        else:
            facts[name] = fates[name]


def reference(nodes, fates):
    """How each ends, by asking those before it first: with no notion of time."""
    ends: dict[str, str] = {}
    by_name = {node.name: node for node in nodes}

    def wants(before, wanted):
        end = ends[before]
        if wanted == E:
            return "yes"
        if wanted == F:
            return "yes" if end == "failed" else "not needed"
        return {"succeeded": "yes", "skipped": "whatever"}.get(end, "no")

    for name in graph.order({node.name: [one for one, _ in node.after] for node in nodes}):
        node = by_name[name]
        heard = [wants(*one) for one in node.after]
        if node.needs == "any" and heard:
            goes = "yes" in heard
        else:
            goes = not heard or ("no" not in heard and "not needed" not in heard and "yes" in heard)
        if goes:
            ends[name] = "skipped" if fates[name] == "unmet" else fates[name]
        else:
            ends[name] = "blocked" if "no" in heard else "skipped"
    return ends


@settings(max_examples=60, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_any_graph_ends_as_it_says_in_whatever_order_its_steps_end(drawn, random):
    nodes, fates = drawn
    found, began, end = walk(nodes, fates, random.choice)
    expected = reference(nodes, fates)
    # With any of several, what begins may begin before the others have ended; where it ends is the same.
    assert {name: one.state for name, one in found.items()} == expected
    assert len(began) == len(set(began))
    assert end in ("succeeded", "failed")


@settings(max_examples=40, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_whatever_is_retried_all_after_it_is_in_what_comes_downstream(drawn, random):
    nodes, _ = drawn
    start = random.choice(nodes).name
    reached = graph.downstream(nodes, [start])
    assert reached[0] == start
    for node in nodes:
        comes_after = any(before in reached for before, _ in node.after)
        assert (node.name in reached) == (comes_after or node.name == start)

"""What follows of a batch's counts: by a table, then whatever the counts are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policy.batch import Standing, due, is_exact, state_of

small = st.integers(0, 4)
standings = st.builds(
    lambda pending, nested, **counts: Standing(
        total=pending + counts["succeeded"] + counts["dead"] + counts["discarded"] + counts["cancelled"],
        nested_open=nested[0],
        nested_unwell=nested[1] + nested[2],
        nested_failed=nested[2],
        nested_dead=nested[2],
        **counts,
    ),
    small,
    st.tuples(small, small, small),
    succeeded=small,
    dead=small,
    discarded=small,
    cancelled=small,
    is_sealed=st.booleans(),
    is_cancelled=st.booleans(),
)


@pytest.mark.parametrize(
    ("standing", "state", "told"),
    [
        (Standing(), "filling", []),
        (Standing(is_sealed=True), "succeeded", ["complete", "success"]),
        (Standing(total=2, succeeded=2), "filling", []),
        (Standing(total=2, dead=2), "filling", ["death"]),
        (Standing(total=2, succeeded=1, is_sealed=True), "running", []),
        (Standing(total=2, succeeded=1, discarded=1, is_sealed=True), "succeeded", ["complete", "success"]),
        (Standing(total=2, succeeded=1, dead=1, is_sealed=True), "failed", ["death", "complete"]),
        (Standing(total=2, succeeded=1, cancelled=1, is_sealed=True), "cancelled", ["complete"]),
        (Standing(total=2, dead=1, cancelled=1, is_sealed=True), "failed", ["death", "complete"]),
        (Standing(total=2, dead=1, cancelled=1, is_sealed=True, is_cancelled=True), "cancelled", ["death", "complete"]),
        (Standing(is_sealed=True, is_cancelled=True), "cancelled", ["complete"]),
        (Standing(total=1, succeeded=1, is_sealed=True, nested_open=1), "running", []),
        (Standing(total=1, succeeded=1, is_sealed=True, nested_open=1, nested_dead=1), "running", ["death"]),
        (
            Standing(is_sealed=True, nested_unwell=1, nested_failed=1, nested_dead=1),
            "failed",
            ["death", "complete"],
        ),
        (Standing(is_sealed=True, nested_unwell=1), "cancelled", ["complete"]),
        # Retried since: what was told is told, and all is well.
        (Standing(total=1, succeeded=1, is_sealed=True, nested_dead=1), "succeeded", ["death", "complete", "success"]),
    ],
)
def test_counts_make_a_state_and_call_for_callbacks(standing, state, told):
    assert (state_of(standing), list(due(standing))) == (state, told)


@given(standings)
def test_a_batch_succeeds_only_when_nothing_else_became_of_any(standing):
    state, told = state_of(standing), list(due(standing))
    assert ("success" in told) == (state == "succeeded")
    assert ("complete" in told) == (state in ("succeeded", "failed", "cancelled"))
    if state == "succeeded":
        assert standing.pending == standing.dead == standing.cancelled == standing.nested_open == 0
    if standing.pending or standing.nested_open or not standing.is_sealed:
        assert state in ("filling", "running")


@given(st.dictionaries(st.sampled_from(["pending", "succeeded", "dead"]), small), small)
def test_members_that_ended_may_be_gone_and_none_may_be_too_many(found, more):
    counted = {**found, "succeeded": found.get("succeeded", 0) + more}
    assert is_exact(counted, found)
    assert is_exact(found, counted) == (not more)
    assert not is_exact({**found, "pending": found.get("pending", 0) + 1}, found)

"""What becomes of a queue, by tables and by properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy.forecast import Forecast, Load, forecast, threads_needed, workers_needed

rates = st.floats(min_value=0, max_value=1e6)
loads = st.builds(
    Load,
    depth=st.none() | st.integers(0, 10**7),
    in_per_minute=st.none() | rates,
    out_per_minute=st.none() | rates,
    threads=st.none() | st.integers(0, 1000),
    run_seconds=st.none() | st.floats(min_value=0, max_value=1e5),
    is_paused=st.booleans(),
)


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Load(depth=0, threads=10, in_per_minute=5, out_per_minute=5), Forecast("idle", 0.0)),
        (Load(depth=90, threads=10, in_per_minute=10, out_per_minute=100), Forecast("drains", 60.0)),
        (Load(depth=90, threads=10, in_per_minute=100, out_per_minute=60), Forecast("growing")),
        (Load(depth=90, threads=10, in_per_minute=100, out_per_minute=101), Forecast("drains")),
        (Load(depth=90, threads=0, in_per_minute=100, out_per_minute=0), Forecast("no_worker")),
        (Load(depth=90, threads=0, is_paused=True), Forecast("paused")),
        (Load(depth=None, threads=10), Forecast("unknown")),
        (Load(depth=90, threads=None), Forecast("unknown")),
        (Load(depth=90, threads=10), Forecast("unknown")),
        (Load(depth=90, threads=10, run_seconds=2.0), Forecast("drains", 18.0)),
    ],
)
def test_a_queue_is_told_by_its_flow(load, expected):
    assert forecast(load) == expected


@settings(max_examples=80)
@given(loads)
def test_only_what_drains_or_is_empty_has_an_end_and_it_lies_ahead(load):
    seen = forecast(load)
    if seen.eta_seconds is not None:
        assert seen.state in ("drains", "idle")
        assert 0 <= seen.eta_seconds < math.inf


@settings(max_examples=80)
@given(loads, st.integers(1, 1000))
def test_a_longer_queue_does_not_end_sooner(load, more):
    longer = Load(**{**load.__dict__, "depth": None if load.depth is None else load.depth + more})
    before, after = forecast(load).eta_seconds, forecast(longer).eta_seconds
    if before is not None and after is not None:
        assert after >= before


@settings(max_examples=80)
@given(loads, st.floats(min_value=0.1, max_value=1e5))
def test_what_keeps_up_with_arrivals_is_enough_by_littles_law(load, target):
    threads = threads_needed(load, target_seconds=target)
    if threads and load.run_seconds is not None:
        a_second = (load.in_per_minute or 0) / 60 + (load.depth or 0) / target
        assert threads >= a_second * load.run_seconds - 1e-6
        assert threads <= a_second * load.run_seconds + 1


@settings(max_examples=80)
@given(loads, st.floats(min_value=0.1, max_value=1e5), st.floats(min_value=1, max_value=100))
def test_a_stricter_target_never_wants_fewer_workers(load, target, each):
    loose = workers_needed(load, target_seconds=target * 2, threads_each=each)
    strict = workers_needed(load, target_seconds=target, threads_each=each)
    assert (loose is None) == (strict is None)
    if loose is not None and strict is not None:
        assert strict >= loose


def test_nobody_is_needed_for_a_queue_that_is_paused_or_empty():
    assert threads_needed(Load(depth=1000, run_seconds=9.0, is_paused=True), target_seconds=60) == 0
    assert threads_needed(Load(depth=0, in_per_minute=0.0), target_seconds=60) == 0
    assert threads_needed(Load(depth=5, in_per_minute=0.0), target_seconds=60) is None
    assert workers_needed(Load(depth=1, run_seconds=0.01), target_seconds=60, threads_each=10) == 1

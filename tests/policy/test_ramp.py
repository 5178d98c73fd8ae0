"""How a bulk action goes on: a table of what follows, and what holds whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.policy.ramp import CHUNK, WINDOW, Cohort, Finish, Place, Ramp, Release, Signs, Stop, Wait, decide
from jobs.policy.rates import parse_rate, parse_share, rate_in_words

CAREFUL = Ramp(canary=5, rate=50.0, max_wait=300.0)
START = Place(step=0, left=0, rest=40_000)
FIVE_GONE = Place(step=5, left=0, rest=39_995)


@pytest.mark.parametrize(
    ("ramp", "place", "cohort", "signs", "allowance", "follows"),
    [
        # Without canary and rate all goes at once, and nobody looks.
        (Ramp(), Place(0, 0, 700), Cohort(), Signs(), 500, Release(500, 2**31 - 1, 2**31 - 1 - 500)),
        (Ramp(), Place(2**31 - 1, 9000, 200), Cohort(), Signs(), 500, Release(200, 2**31 - 1, 8800)),
        (Ramp(), Place(2**31 - 1, 9000, 0), Cohort(), Signs(), 500, Finish()),
        # A canary goes first, and is waited for to its last.
        (CAREFUL, START, Cohort(), Signs(), 50.0, Release(5, 5, 0)),
        (CAREFUL, START, Cohort(), Signs(), 2.5, Release(2, 5, 3)),
        (CAREFUL, FIVE_GONE, Cohort(ok=4, waiting=1), Signs(), 50.0, Wait(1.0)),
        (CAREFUL, FIVE_GONE, Cohort(ok=5), Signs(), 50.0, Release(25, 25, 0)),
        (CAREFUL, FIVE_GONE, Cohort(ok=4, failed=1), Signs(), 50.0, Release(25, 25, 0)),
        # Later steps begin when most of the one before is decided.
        (CAREFUL, Place(125, 0, 9), Cohort(ok=88, waiting=12), Signs(), 50.0, Release(9, 625, 616)),
        (CAREFUL, Place(125, 0, 9), Cohort(ok=88, waiting=13), Signs(), 50.0, Wait(1.0)),
        # It stops for failures, a circuit, a wait.
        (CAREFUL, FIVE_GONE, Cohort(ok=3, failed=2), Signs(), 50.0, "2 of the latest 5 failed again"),
        (CAREFUL, FIVE_GONE, Cohort(failed=2, waiting=3), Signs(), 50.0, "2 of the latest 2 failed again"),
        (CAREFUL, Place(125, 60, 9), Cohort(ok=79, failed=21), Signs(), 50.0, "more than 20 % of 100"),
        (CAREFUL, START, Cohort(), Signs(open_circuit="payments"), 50.0, 'the circuit "payments" is open'),
        (CAREFUL, START, Cohort(), Signs(301.0, queue="low"), 50.0, 'the queue "low" has waited 301 s'),
        (CAREFUL, START, Cohort(), Signs(300.0), 50.0, Release(5, 5, 0)),
        # Without a canary a few failures at the beginning say nothing yet.
        (Ramp(rate=9.0), Place(2**31 - 1, 50, 9), Cohort(failed=4), Signs(), 9.0, Release(9, 2**31 - 1, 41)),
        (Ramp(rate=9.0), Place(2**31 - 1, 50, 9), Cohort(failed=5), Signs(), 9.0, "5 of the latest 5"),
        # Its rate, and how many may be under way.
        (Ramp(rate=0.1), Place(0, 0, 9), Cohort(), Signs(), 0.5, Wait(5.0)),
        (Ramp(rate=0.01), Place(0, 0, 9), Cohort(), Signs(), 0.0, Wait(10.0)),
        (CAREFUL, Place(15_625, 9000, 20_000), Cohort(waiting=WINDOW), Signs(), 50.0, Wait(1.0)),
        (CAREFUL, Place(15_625, 9000, 20_000), Cohort(waiting=WINDOW - 3), Signs(), 50.0, Release(3, 15_625, 8997)),
        # When all have gone, the last are waited for, and only their failures can still stop it.
        (CAREFUL, Place(625, 9, 0), Cohort(ok=9, waiting=1), Signs(999.0), 50.0, Wait(1.0)),
        (CAREFUL, Place(625, 9, 0), Cohort(ok=90, failed=10), Signs(open_circuit="x"), 50.0, Finish()),
        (CAREFUL, Place(625, 9, 0), Cohort(ok=70, failed=30), Signs(), 50.0, "30 of the latest 100"),
    ],
)
def test_what_follows(ramp, place, cohort, signs, allowance, follows) -> None:
    following = decide(ramp, place, cohort, signs, allowance=allowance)
    if isinstance(follows, str):
        assert isinstance(following, Stop)
        assert follows in following.why
    else:
        assert following == follows


def test_an_action_may_make_up_for_three_seconds_and_no_more() -> None:
    assert Ramp(rate=50.0).allowance(0.0, 1.0) == 50.0
    assert Ramp(rate=50.0).allowance(20.0, 1.0) == 70.0
    assert Ramp(rate=50.0).allowance(0.0, 3600.0) == 150.0
    assert Ramp(rate=0.1).allowance(0.0, 3600.0) == 1.0
    assert Ramp(rate=50.0).allowance(10.0, -5.0) == 10.0


ramps = st.builds(
    Ramp,
    canary=st.integers(0, 50),
    rate=st.none() | st.floats(0.01, 1000),
    max_failures=st.floats(0, 1),
    max_wait=st.none() | st.floats(0, 600),
)
cohorts = st.builds(Cohort, st.integers(0, 100), st.integers(0, 100), st.integers(0, WINDOW))
places = st.builds(Place, st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
signs = st.builds(Signs, st.floats(0, 1000), st.sampled_from(["", "payments"]), st.just("default"))


@settings(max_examples=100, deadline=None)
@given(ramps, places, cohorts, signs, st.floats(0, 1000))
def test_no_more_go_than_there_are_than_the_rate_allows_and_than_can_be_watched(
    ramp: Ramp, place: Place, cohort: Cohort, signs: Signs, allowance: float
) -> None:
    following = decide(ramp, place, cohort, signs, allowance=allowance)
    if isinstance(following, Release):
        assert 0 < following.count <= min(place.rest, CHUNK)
        assert following.left >= 0
        if ramp.is_watched:
            assert ramp.rate is None or following.count <= allowance
            assert following.count + cohort.waiting <= WINDOW
            assert not signs.open_circuit
    if isinstance(following, Wait):
        assert 0 < following.seconds <= 10
    if isinstance(following, Finish):
        assert place.rest == 0


@settings(max_examples=40, deadline=None)
@given(canary=st.integers(1, 20), total=st.integers(1, 3000), rate=st.floats(1, 500))
def test_against_a_partner_that_is_broken_no_more_than_the_canary_goes(canary: int, total: int, rate: float) -> None:
    assert gone_when_it_ends(Ramp(canary=canary, rate=rate), total, fails=True)[0] <= canary


@settings(max_examples=20, deadline=None)
@given(canary=st.integers(0, 20), total=st.integers(1, 2000), rate=st.floats(5, 500))
def test_against_one_that_is_well_all_go_at_the_rate(canary: int, total: int, rate: float) -> None:
    gone, seconds = gone_when_it_ends(Ramp(canary=canary, rate=rate), total, fails=False)
    assert gone == total
    assert total / rate - 2 <= seconds <= total / rate * 1.2 + 15


def gone_when_it_ends(ramp: Ramp, total: int, *, fails: bool) -> tuple[int, float]:
    """How many went, and after how long it was over: each run takes a second."""
    now, gone, step, left, tokens, released_at = 0.0, 0, 0, 0, ramp.rate or 0.0, 0.0
    starts: list[float] = []
    while True:
        decided = sum(at + 1 <= now for at in starts)
        latest = min(100, decided)
        cohort = Cohort(0 if fails else latest, latest if fails else 0, gone - decided)
        allowance = ramp.allowance(tokens, now - released_at)
        following = decide(ramp, Place(step, left, total - gone), cohort, Signs(), allowance=allowance)
        if isinstance(following, Release):
            starts += [now] * following.count
            gone, step, left = gone + following.count, following.step, following.left
            tokens, released_at = allowance - following.count, now
        elif isinstance(following, Wait):
            now += following.seconds
        else:
            return gone, now


def test_a_rate_in_words_is_read_again_as_the_same() -> None:
    for text in ("50/s", "30/min", "7/h"):
        assert rate_in_words(parse_rate(text)) == text


def test_shares_as_people_type_them() -> None:
    assert (parse_share("20%"), parse_share("2.5 %"), parse_share("100%")) == (0.2, 0.025, 1.0)
    for text in ("20", "0.2", "101%", "-1%", ""):
        with pytest.raises(ValueError, match="such as 20%"):
            parse_share(text)

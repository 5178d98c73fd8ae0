"""What `@job` makes, what it refuses, and how a job is found by its name."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from jobs import RetryPolicy, Unique, job, registry
from jobs.errors import BadOptions, DuplicateJob, UnknownJob
from tests.engine import make_job
from tests.sample import jobs as sample

__all__ = ["make_job"]

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Door:
    """Keeps what comes through, in place of the system."""

    def __init__(self):
        self.taken = []

    def enqueue(self, job, calls, placing):
        self.taken.append((job, list(calls), placing))
        return [object()]

    @property
    def placing(self):
        return self.taken[-1][2]


@pytest.fixture
def door():
    mine = Door()
    before = registry.open_door(mine)
    yield mine
    registry.open_door(before)


def test_a_job_is_named_by_its_module_and_function():
    assert sample.add.name == "tests.sample.add"
    assert registry.find("tests.sample.add") is sample.add


def test_a_job_keeps_the_name_it_was_given(make_job):
    assert make_job(lambda: 1, name="shop.kept").name == "shop.kept"
    assert "shop.kept" in registry.names()


def test_a_job_is_still_its_function(make_job):
    def pack(order_id: int) -> int:
        """Pack it."""
        return order_id + 1

    packing = make_job(pack)
    assert packing(1) == 2
    assert (packing.__name__, packing.__doc__) == ("pack", "Pack it.")


def test_what_a_worker_could_not_find_is_no_job():
    def inside() -> None:
        pass

    for target in (inside, lambda: 1):
        with pytest.raises(BadOptions, match=r"top of a jobs\.py"):
            job(target)


def test_a_function_that_yields_is_refused_for_it_would_never_run():
    def yields(order_id):
        yield order_id

    async def yields_later(order_id):
        yield order_id

    for target in (yields, yields_later):
        with pytest.raises(BadOptions, match="would never run"):
            job(name="tests.refused")(target)


@pytest.mark.parametrize("word", ["delay", "apply_async"])
def test_the_word_of_another_library_is_answered_with_ours(word):
    with pytest.raises(AttributeError, match=rf"no '{word}'.* enqueue\("):
        getattr(sample.add, word)
    assert not hasattr(sample.add, "colour")


def test_two_functions_of_one_name_are_refused_with_both_places(make_job):
    make_job(lambda: 1, name="shop.pack")
    with pytest.raises(DuplicateJob, match=r"shop\.pack.*tests\.test_registry.*tests\.sample\.jobs\.add"):
        job(name="shop.pack")(sample.add.function)
    assert registry.get("shop.pack")() == 1


def test_a_module_that_is_imported_anew_replaces_its_own_jobs(make_job):
    def define(result):
        return make_job(lambda: result, name="shop.pack")

    define(1)
    assert define(2)() == 2
    assert registry.get("shop.pack")() == 2


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UnknownJob, match=r'Did you mean "tests\.sample\.charge"'):
        registry.get("tests.sample.chrage")
    assert registry.find("tests.sample.chrage") is None


def test_a_bare_name_will_do_where_one_job_has_it(make_job):
    make_job(lambda: 1, name="shop.pack_once")
    assert registry.get("pack_once").name == "shop.pack_once"
    make_job(lambda: 2, name="depot.pack_once")
    with pytest.raises(UnknownJob):
        registry.get("pack_once")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"retry": 0}, "attempts=0"),
        ({"retry": -1}, "attempts=-1"),
        ({"retry": True}, "attempts=True"),
        ({"retry": "often"}, "retry='often'"),
        ({"retry": None}, "retry=None"),
        ({"retry": 2.5}, "retry=2.5"),
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": -5}, "timeout=-5"),
        ({"timeout": math.inf}, "timeout=inf"),
        ({"timeout": math.nan}, "timeout=nan"),
        ({"timeout": "5m"}, "timeout='5m'"),
        ({"timeout": True}, "timeout=True"),
        ({"sensitive": "card"}, "sensitive='card'"),
        ({"sensitive": ["crad"]}, "crad"),
        ({"unique": "card"}, r"\['card'\]"),
        ({"unique": ["crad"]}, "crad"),
        ({"unique": "args", "durable": False}, "durable"),
    ],
)
def test_an_option_that_cannot_be_is_refused_where_it_is_written(options, named):
    with pytest.raises(BadOptions, match=named):
        job(name="tests.refused", **options)(lambda card, order_id: None)
    assert registry.find("tests.refused") is None


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(BadOptions, match=r"'retries'.*Did you mean .retry.") as refused:
        job(retries=3)  # type: ignore[call-overload]
    assert "timeout" in str(refused.value)


def test_options_are_kept_as_they_were_given(make_job):
    policy = RetryPolicy(attempts=3)
    options = make_job(
        lambda card, order_id: None,
        queue="low",
        retry=policy,
        timeout=5,
        unique=["order_id"],
        sensitive=["card"],
    ).options
    assert (options.queue, options.retry, options.timeout) == ("low", policy, 5)
    assert (options.unique, options.sensitive, options.durable) == (Unique(("order_id",)), ("card",), True)


@pytest.mark.parametrize(("delay", "expected"), [(5, 5), (0.5, 0.5), (timedelta(minutes=2), 120), (0, 0), (-3, -3)])
def test_a_delay_is_seconds_or_a_timedelta(door, delay, expected):
    sample.add.enqueue_in(delay, 1, 2)
    assert door.placing.at == timedelta(seconds=expected)


@pytest.mark.parametrize("delay", [None, "5", True, math.nan, math.inf, -math.inf, 10**400, [5]])
def test_a_delay_that_is_none_is_refused(door, delay):
    with pytest.raises(BadOptions, match="a delay of"):
        sample.add.enqueue_in(delay, 1, 2)
    with pytest.raises(BadOptions, match="a delay of"):
        sample.add.using(queue="low").enqueue_in(delay, 1, 2)
    assert door.taken == []


@pytest.mark.parametrize("when", [None, "tomorrow", 1_700_000_000, datetime(2030, 1, 1), NOON.date()])
def test_a_time_that_is_no_aware_one_is_refused(door, when):
    with pytest.raises(BadOptions, match="aware datetime"):
        sample.add.enqueue_at(when, 1, 2)
    with pytest.raises(BadOptions, match="aware datetime"):
        sample.add.using(queue="low").enqueue_at(when, 1, 2)


def test_using_changes_one_call_and_not_the_job(door):
    sample.add.using(queue="low", at=NOON, attempts=3).enqueue(1, 2)
    assert (door.placing.queue, door.placing.at, door.placing.attempts) == ("low", NOON, 3)
    sample.add.enqueue(1, 2)
    assert (door.placing.queue, door.placing.at, door.placing.attempts) == (None, None, None)


def test_using_takes_a_delay_too_and_a_later_one_wins(door):
    sample.add.using(at=60).enqueue(1, 2)
    assert door.placing.at == timedelta(seconds=60)
    sample.add.using(at=60, queue="low").enqueue_in(5, 1, 2)
    assert (door.placing.at, door.placing.queue) == (timedelta(seconds=5), "low")


@pytest.mark.parametrize(
    "choices",
    [{"attempts": 0}, {"attempts": True}, {"attempts": 2.5}, {"at": "soon"}, {"at": datetime(2030, 1, 1)}],
    ids=str,
)
def test_using_refuses_what_cannot_be(choices):
    with pytest.raises(BadOptions):
        sample.add.using(**choices)


def test_using_refuses_what_does_not_exist():
    with pytest.raises(TypeError, match="priority"):
        sample.add.using(priority=1)


def test_without_django_a_job_cannot_be_enqueued(door):
    registry.open_door(None)
    with pytest.raises(BadOptions, match="INSTALLED_APPS"):
        sample.add.enqueue(1, 2)


@pytest.mark.parametrize(
    ("choices", "cure"),
    [
        ({"unique": True}, "a list of parameter names"),
        ({"durable": 1}, "pass True or False"),
        ({"name": ""}, "pass a printable text of 1 to 200 characters"),
        ({"name": "x" * 201}, "pass a printable text of 1 to 200 characters"),
        ({"name": "a\tb"}, "pass a printable text of 1 to 200 characters"),
        ({"queue": 3}, "pass the name of a queue in RQ_QUEUES"),
        ({"queue": ""}, "pass the name of a queue in RQ_QUEUES"),
        ({"sensitive": 3}, "pass a list of its parameters"),
        ({"retry": 10**30}, "pass a whole number up to 2147483647"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused_with_the_cure(choices, cure):
    with pytest.raises(BadOptions, match=cure):
        job(**{"name": "shop.odd", **choices})(lambda order_id: None)

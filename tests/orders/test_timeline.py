"""What an order's page says of an order, as a table."""

import uuid

import pytest
from django.utils import timezone

from jobs.subjects import RunAbout
from orders import timeline
from orders.models import Customer, Order

NOW = timezone.now()
READY = {"paid_at": NOW, "stocked_at": NOW, "warehouse_notified_at": NOW, "confirmation_sent_at": NOW}


@pytest.mark.parametrize(
    ("facts", "headline", "moving"),
    [
        ({}, "We are working on your order", True),
        ({"payment_problem": "expired"}, "Your order needs attention", True),
        ({"shortage": "Hard hat: 2 ordered, 1 left"}, "Your order needs attention", True),
        (READY, "Everything is ready for the carrier", False),
        (READY | {"paid_at": None, "payment_problem": "expired"}, "Your order needs attention", False),
        (READY | {"shipped_at": NOW}, "Your parcel is on its way", False),
    ],
)
def test_the_headline_says_the_whole_order(facts: dict, headline: str, moving: bool) -> None:
    steps = timeline.steps(_order(**facts), {})
    assert (timeline.headline(steps), timeline.is_moving(steps)) == (headline, moving)


def test_a_retried_step_says_so() -> None:
    run = _run("retrying")
    payment = timeline.steps(_order(), {"charge_order": run})[1]
    assert payment.state == timeline.StepState.WORKING
    assert "attempt 3 of 10" in payment.text


def test_a_dead_step_is_a_problem_until_its_fact_is_there() -> None:
    run = _run("dead")
    assert timeline.steps(_order(), {"charge_order": run})[1].state == timeline.StepState.PROBLEM
    assert timeline.steps(_order(paid_at=NOW), {"charge_order": run})[1].state == timeline.StepState.DONE


@pytest.mark.parametrize("state", ["cancelled", "discarded"])
def test_a_step_whose_run_was_stopped_is_not_being_worked_on(state: str) -> None:
    run = _run(state)
    assert timeline.steps(_order(), {"charge_order": run})[1].state == timeline.StepState.PROBLEM
    assert timeline.steps(_order(paid_at=NOW), {"charge_order": run})[1].state == timeline.StepState.DONE


@pytest.mark.parametrize(
    ("facts", "cure"),
    [({"payment_problem": "expired"}, "order_pay"), ({"shipping_problem": "no such town"}, "order_address")],
)
def test_a_problem_names_the_page_that_mends_it(facts: dict, cure: str) -> None:
    assert cure in [step.cure for step in timeline.steps(_order(**facts), {})]


def _order(**facts) -> Order:
    return Order(number="ABCD-EFGH", customer=Customer(email="grace@example.com"), **facts)


def _run(state: str) -> RunAbout:
    return RunAbout(
        id=uuid.uuid4(),
        job="orders.charge_order",
        label="charge order",
        queue="critical",
        state=state,
        words=state,
        at=NOW,
        attempts=3,
        max_attempts=10,
    )

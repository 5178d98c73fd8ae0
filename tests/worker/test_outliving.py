"""A child whose server goes away while it waits for work."""

from __future__ import annotations

from jobs.broker.connection import client
from jobs.errors import BrokerUnavailable
from jobs.worker.child import Child
from jobs.worker.options import WorkerOptions
from jobs.worker.pulse import Pulse
from tests.engine import WORKER


def test_a_wait_whose_connection_is_found_dead_during_an_outage_does_not_end_the_child() -> None:
    child = Child(WORKER, WorkerOptions(name="tester", queues=("default",), concurrency=1), Pulse())
    try:
        child._waiting.wait(0.0, for_work=True)
        client().client_kill_filter(_type="normal", skipme=True)
        child._outlive(BrokerUnavailable("it does not answer"))
    finally:
        child._hand.drop()
        child._waiting.close()

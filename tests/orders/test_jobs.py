"""The table of the shop's jobs: queue, attempts, and what is never retried."""

import pytest

from jobs import Bury
from orders import jobs, payments, warehouse


@pytest.mark.parametrize(
    ("job", "queue", "attempts"),
    [
        (jobs.process_order, "default", 25),
        (jobs.charge_order, "critical", 10),
        (jobs.update_inventory, "default", 5),
        (jobs.notify_warehouse, "external_apis", 15),
        (jobs.send_order_confirmation, "mailers", 5),
        (jobs.send_shipping_notification, "mailers", 25),
        (jobs.send_payment_failed, "mailers", 25),
        (jobs.send_welcome_email, "mailers", 25),
        (jobs.alert_operators, "mailers", 25),
    ],
)
def test_a_job_goes_to_its_queue_so_many_times(job, queue: str, attempts: int) -> None:
    assert (job.options.queue, job.options.retry.attempts) == (queue, attempts)


@pytest.mark.parametrize(
    ("job", "error"),
    [
        (jobs.charge_order, payments.ChargeRefused),
        (jobs.charge_order, payments.KeyReused),
        (jobs.notify_warehouse, warehouse.InvalidAddress),
        (jobs.notify_warehouse, warehouse.ShipmentRefused),
    ],
)
def test_what_no_retry_can_mend_is_buried_at_once(job, error: type[Exception]) -> None:
    assert job.options.retry.rules[error] is Bury

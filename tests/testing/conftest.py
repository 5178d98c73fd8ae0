"""The guide's examples are the shop's tests, so they have what those have."""

from tests.engine import make_job
from tests.orders.conftest import gateway, mailbox, order, product, warehouse_partner

__all__ = ["gateway", "mailbox", "make_job", "order", "product", "warehouse_partner"]

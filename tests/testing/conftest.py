"""The guide's examples are the shop's tests, so they have what those have."""

from tests.orders.conftest import gateway, mailbox, order, product, warehouse_partner

__all__ = ["gateway", "mailbox", "order", "product", "warehouse_partner"]

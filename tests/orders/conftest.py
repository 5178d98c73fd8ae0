"""What tests of the shop may ask for."""

from tests.partners import gateway, mailbox, warehouse_partner

__all__ = ["gateway", "mailbox", "warehouse_partner"]

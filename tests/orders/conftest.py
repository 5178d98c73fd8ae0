"""What tests of the shop may ask for."""

from typing import Any

import pytest

from orders.models import Order, Product
from tests.orders.making import a_product, an_order
from tests.partners import gateway, list_provider, mailbox, warehouse_partner

__all__ = ["gateway", "list_provider", "mailbox", "warehouse_partner"]


@pytest.fixture
def product(db: None) -> Product:
    return a_product()


@pytest.fixture
def order(product: Product) -> Order:
    return an_order(product)


@pytest.fixture
def impatient(settings: Any) -> None:
    """Wait for a partner's answer no longer than a test should."""
    settings.PARTNER_CONNECT_TIMEOUT = settings.PARTNER_READ_TIMEOUT = 0.2

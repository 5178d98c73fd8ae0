"""The warehouse's client against the warehouse of the demo, over real HTTP."""

from typing import Any

import pytest

from orders import warehouse
from orders.partners.warehouse import Warehouse

ADDRESS = {
    "name": "Ada Lovelace",
    "street": "12 St James's Square",
    "postcode": "SW1Y 4JH",
    "city": "London",
    "country": "GB",
}


def ship(key: str = "order-17", **changes: str) -> warehouse.Shipment:
    lines = [{"sku": "MUG-1", "quantity": 2}]
    return warehouse.ship(reference="order-17", address=ADDRESS | changes, lines=lines, idempotency_key=key)


def test_a_shipment_is_taken_once_per_key(warehouse_partner: Warehouse) -> None:
    assert ship() == ship()
    (taken,) = warehouse_partner.ledger()
    assert (taken["reference"], taken["lines"]) == ("order-17", [{"sku": "MUG-1", "quantity": 2}])


@pytest.mark.parametrize(
    "changes", [{"postcode": "00000"}, {"postcode": "?"}, {"street": " "}, {"name": ""}, {"city": ""}]
)
def test_an_address_that_cannot_exist_is_invalid(warehouse_partner: Warehouse, changes: dict[str, str]) -> None:
    with pytest.raises(warehouse.InvalidAddress, match=r"postcode|missing"):
        ship(**changes)
    assert warehouse_partner.ledger() == []


@pytest.mark.parametrize("postcode", ["10115", "SW1A 1AA", "1010", "00-950", "1234 AB"])
def test_a_postcode_that_can_exist_is_taken(warehouse_partner: Warehouse, postcode: str) -> None:
    assert ship(postcode=postcode).id.startswith("wh_")


def test_a_broken_warehouse_is_unavailable(warehouse_partner: Warehouse) -> None:
    warehouse_partner.set_mode("error")
    with pytest.raises(warehouse.WarehouseUnavailable, match="503"):
        ship()


def test_a_warehouse_that_is_not_there_is_unavailable(warehouse_partner: Warehouse) -> None:
    warehouse_partner.stop()
    with pytest.raises(warehouse.WarehouseUnavailable, match="did not answer"):
        ship()


def test_a_rate_limit_says_how_long_to_wait(warehouse_partner: Warehouse) -> None:
    warehouse_partner.set_mode("rate_limit", seconds=3)
    with pytest.raises(warehouse.RateLimited, match="3 s") as refused:
        ship()
    assert refused.value.retry_after == 3.0


def test_a_time_out_after_the_work_is_settled_by_the_same_key(warehouse_partner: Warehouse, settings: Any) -> None:
    settings.PARTNER_READ_TIMEOUT = 0.2
    warehouse_partner.set_mode("timeout_after", times=1)
    with pytest.raises(warehouse.WarehouseUnavailable, match="ReadTimeout"):
        ship()
    (taken,) = warehouse_partner.ledger()
    assert ship().id == taken["id"]


def test_another_address_under_the_same_key_is_refused(warehouse_partner: Warehouse) -> None:
    ship()
    with pytest.raises(warehouse.ShipmentRefused, match="idempotency_key_reused"):
        ship(city="Paris")

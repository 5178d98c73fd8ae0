"""Something to sell and somebody to sell it to. Running it again changes no stock and no orders."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.db import transaction

from orders.models import Customer, Product


@dataclass(frozen=True)
class Ware:
    """A product as the seed knows it."""

    sku: str
    slug: str
    name: str
    tagline: str
    description: str
    price_cents: int


# The stock that is not 40: one sold out, one nearly, so that a shortage can be met.
DEFAULT_STOCK = 40
STOCK = {"JS-106": 3, "JS-111": 0}

WARES = [
    Ware(
        "JS-101",
        "claw-hammer",
        "Claw hammer",
        "Drives what should stay, pulls what should not",
        "A 450 g head of forged steel on an ash handle. Balanced so that the swing does the work, and heavy "
        "enough that one blow is usually enough.",
        2890,
    ),
    Ware(
        "JS-102",
        "spirit-level",
        "Spirit level",
        "The truth, to half a millimetre a metre",
        "Sixty centimetres of milled aluminium with two vials. It has no battery and no opinion.",
        3450,
    ),
    Ware(
        "JS-103",
        "folding-rule",
        "Folding rule",
        "Two metres in a back pocket",
        "Beech, ten sections, brass joints that stay where you put them. Marked on both sides.",
        1290,
    ),
    Ware(
        "JS-104",
        "carpenters-pencils",
        "Carpenter's pencils",
        "Three, because two get lost",
        "Flat, so they do not roll off the scaffold; soft, so they write on rough timber.",
        490,
    ),
    Ware(
        "JS-105",
        "hand-saw",
        "Hand saw",
        "Cuts on the pull and on the push",
        "A 500 mm blade with hardened teeth and a beech handle that fits a gloved hand.",
        3190,
    ),
    Ware(
        "JS-106",
        "hard-hat",
        "Hard hat",
        "For when things fall",
        "Light, ventilated, with a six-point harness. Tested to EN 397, worn by people who expect failures.",
        2490,
    ),
    Ware(
        "JS-107",
        "toolbox",
        "Toolbox",
        "Everything in one place",
        "Sheet steel, powder-coated, with a tray that lifts out. Its handle is stronger than you are.",
        5900,
    ),
    Ware(
        "JS-108",
        "plumb-bob",
        "Plumb bob",
        "Straight down since 2600 BC",
        "Turned brass, 300 g, with five metres of braided line. Works during power cuts.",
        1890,
    ),
    Ware(
        "JS-109",
        "tape-measure",
        "Tape measure",
        "Measure twice",
        "Five metres of matt steel that stands out for two before it bends. The hook is magnetic.",
        1590,
    ),
    Ware(
        "JS-110",
        "work-lamp",
        "Work lamp",
        "Light where the job is",
        "A cage lamp with a hook, a warm 800 lumen bulb and five metres of rubber cable.",
        3990,
    ),
    Ware(
        "JS-111",
        "vacuum-flask",
        "Vacuum flask",
        "Coffee, still hot at three",
        "One litre, double-walled steel. It keeps its promise for twelve hours.",
        2790,
    ),
    Ware(
        "JS-112",
        "enamel-mug",
        "Enamel mug",
        "Survives being dropped",
        "White enamel on steel with a dark rim. It chips, and goes on being a mug.",
        1190,
    ),
]

CUSTOMERS = [
    ("ada@example.com", "Ada Winter"),
    ("bruno@example.com", "Bruno Keller"),
    ("chidi@example.com", "Chidi Okafor"),
]


def stock_shelves() -> None:
    """Bring the products to what is written here, in one statement. What jobs took off the shelf stays taken."""
    Product.objects.bulk_create(
        [
            Product(
                **asdict(ware),
                picture=f"shop/products/{ware.slug}.svg",
                stock=STOCK.get(ware.sku, DEFAULT_STOCK),
            )
            for ware in WARES
        ],
        update_conflicts=True,
        unique_fields=["sku"],
        update_fields=["slug", "name", "tagline", "description", "price_cents", "picture"],
    )


@transaction.atomic
def seed() -> dict[str, int]:
    """Bring products and customers to what is written here. Returns how many of each there are to say."""
    stock_shelves()
    for email, name in CUSTOMERS:
        Customer.objects.get_or_create(email=email, defaults={"name": name})
    return {"products": len(WARES), "customers": len(CUSTOMERS)}

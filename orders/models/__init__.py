"""What the shop knows. No rules of business: those are in `checkout`, `charging`, `inventory` and `fulfilment`."""

from orders.models.catalogue import Product
from orders.models.customers import Customer, Newsletter
from orders.models.events import EventState, PaymentEvent
from orders.models.invoices import Invoice, InvoiceCounter
from orders.models.orders import Country, Order, OrderLine, OrderRun
from orders.models.payments import Payment, PaymentOutcome
from orders.models.shipments import Shipment

__all__ = [
    "Country",
    "Customer",
    "EventState",
    "Invoice",
    "InvoiceCounter",
    "Newsletter",
    "Order",
    "OrderLine",
    "OrderRun",
    "Payment",
    "PaymentEvent",
    "PaymentOutcome",
    "Product",
    "Shipment",
]

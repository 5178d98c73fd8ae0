"""What the shop knows. No rules of business: those are in `checkout`, `charging`, `inventory` and `fulfilment`."""

from orders.models.catalogue import Product
from orders.models.customers import Customer, Newsletter
from orders.models.events import EventState, PaymentEvent
from orders.models.exports import Export, ExportPart
from orders.models.invoices import Invoice, InvoiceCounter
from orders.models.issues import Issue
from orders.models.orders import Country, Order, OrderLine
from orders.models.payments import Payment, PaymentOutcome
from orders.models.reports import Report, ReportKind
from orders.models.shipments import Shipment
from orders.models.stalls import Stall
from orders.models.stock_files import BadLine, StockFile

__all__ = [
    "BadLine",
    "Country",
    "Customer",
    "EventState",
    "Export",
    "ExportPart",
    "Invoice",
    "InvoiceCounter",
    "Issue",
    "Newsletter",
    "Order",
    "OrderLine",
    "Payment",
    "PaymentEvent",
    "PaymentOutcome",
    "Product",
    "Report",
    "ReportKind",
    "Shipment",
    "Stall",
    "StockFile",
]

"""The shop's back office. Facts are read-only: jobs and services write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import ngettext

from jobs.admin.inlines import JobsInline
from orders import aftercare, inventory
from orders.models import Customer, Invoice, Order, OrderLine, Payment, PaymentEvent, Product, Shipment
from orders.templatetags.shop import euros

RESTOCK_QUANTITY = 10
# The fields that say what waits for a person, and the word for each.
PROBLEMS = {"payment_problem": "payment", "shipping_problem": "address", "shortage": "shortage"}


class ReadOnly:
    """No row is added, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LineInline(ReadOnly, admin.TabularInline):
    model = OrderLine
    fields = ["product", "quantity", "price"]
    readonly_fields = ["price"]

    @admin.display(description="price")
    def price(self, line: OrderLine) -> str:
        return euros(line.total_cents)


class PaymentInline(ReadOnly, admin.TabularInline):
    model = Payment
    fields = ["number", "card", "outcome", "problem", "charge_id", "finished_at", "refunded_at"]


class ShipmentInline(ReadOnly, admin.TabularInline):
    model = Shipment
    fields = ["warehouse_id", "accepted_at"]


class InvoiceInline(ReadOnly, admin.TabularInline):
    model = Invoice
    # An order has one at the most, for which Django would show an empty form.
    extra = 0
    fields = ["number", "numbered_at", "pdf"]
    readonly_fields = ["number", "pdf"]

    @admin.display(description="file")
    def pdf(self, invoice: Invoice) -> str:
        if not invoice.file:
            return "not made yet"
        return format_html('<a href="{}">PDF</a>', reverse("order_invoice", args=[invoice.order.number]))


class OrderJobs(JobsInline):
    """What was done for the order and its payments."""

    def objects_of(self, obj: Order) -> list[Any]:
        return [obj, *obj.payments.all()]


class ProblemFilter(admin.SimpleListFilter):
    """Orders that wait for a person."""

    title = "problem"
    parameter_name = "problem"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(PROBLEMS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        chosen = self.value()
        return queryset.exclude(**{chosen: ""}) if chosen in PROBLEMS else queryset


class HappenedFilter(admin.EmptyFieldListFilter):
    """By a time that is empty until something has happened."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice, words in zip(super().choices(changelist), ("All", "not yet", "yes"), strict=True):
            yield {**choice, "display": words}


@admin.register(Order)
class OrderAdmin(ReadOnly, admin.ModelAdmin):
    """Orders, and what became of the jobs they asked for."""

    list_display = ["number", "recipient", "total", "paid", "stocked", "packed", "shipped", "problem", "placed_at"]
    list_filter = [ProblemFilter, ("paid_at", HappenedFilter), ("shipped_at", HappenedFilter)]
    search_fields = ["number", "customer__email", "recipient"]
    date_hierarchy = "placed_at"
    actions = ["hand_to_carrier", "take_stock_again"]
    inlines = [OrderJobs, LineInline, PaymentInline, ShipmentInline, InvoiceInline]
    fieldsets = [
        (None, {"fields": ["number", "customer", "total", "trouble"]}),
        ("Address", {"fields": ["recipient", "street", "postcode", "city", "country"]}),
        (
            "What happened",
            {
                "fields": [
                    "placed_at",
                    "processing_started_at",
                    "paid_at",
                    "refunded_at",
                    "stocked_at",
                    "warehouse_notified_at",
                    "confirmation_sent_at",
                    "shipped_at",
                    "shipping_notified_at",
                ]
            },
        ),
    ]
    readonly_fields = ["number", "total", "trouble"]

    def has_ship_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.ship_order")

    @admin.display(description="total", ordering="total_cents")
    def total(self, order: Order) -> str:
        return euros(order.total_cents)

    @admin.display(boolean=True, ordering="paid_at")
    def paid(self, order: Order) -> bool:
        return order.paid_at is not None

    @admin.display(boolean=True, ordering="stocked_at")
    def stocked(self, order: Order) -> bool:
        return order.stocked_at is not None

    @admin.display(boolean=True, ordering="warehouse_notified_at")
    def packed(self, order: Order) -> bool:
        return order.warehouse_notified_at is not None

    @admin.display(boolean=True, ordering="shipped_at")
    def shipped(self, order: Order) -> bool:
        return order.shipped_at is not None

    @admin.display(description="problem")
    def problem(self, order: Order) -> str:
        """In a word, as the filter has it; the order's own page has it in full."""
        return ", ".join(word for field, word in PROBLEMS.items() if getattr(order, field))

    @admin.display(description="problem")
    def trouble(self, order: Order) -> str:
        return order.payment_problem or order.shipping_problem or order.shortage

    @admin.action(description="Hand to the carrier", permissions=["ship"])
    def hand_to_carrier(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        shipped = [aftercare.hand_to_carrier(order) for order in queryset]
        self._tell(request, sum(shipped), "shipped", left=shipped.count(False), why="not ready, or gone already")

    @admin.action(description="Take the stock again", permissions=["ship"])
    def take_stock_again(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        asked = [aftercare.take_stock_again(order) for order in queryset]
        self._tell(request, sum(asked), "asked for", left=asked.count(False), why="no shortage")

    def _tell(self, request: HttpRequest, done: int, verb: str, *, left: int, why: str) -> None:
        text = ngettext("%d order %s.", "%d orders %s.", done) % (done, verb)
        if left:
            text += f" {left} left alone: {why}."
        self.message_user(request, text, messages.SUCCESS if done else messages.WARNING)


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    """What is for sale. Stock is added by the action: a form would write over what jobs took meanwhile."""

    list_display = ["name", "sku", "price", "stock"]
    search_fields = ["name", "sku"]
    prepopulated_fields = {"slug": ["name"]}
    readonly_fields = ["stock"]
    actions = ["restock"]

    @admin.display(ordering="price_cents")
    def price(self, product: Product) -> str:
        return euros(product.price_cents)

    @admin.action(description=f"Put {RESTOCK_QUANTITY} more on the shelf", permissions=["change"])
    def restock(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        for product in queryset:
            inventory.restock(product, RESTOCK_QUANTITY)
        self.message_user(request, f"{RESTOCK_QUANTITY} more of each on the shelf.", messages.SUCCESS)


@admin.register(PaymentEvent)
class PaymentEventAdmin(ReadOnly, admin.ModelAdmin):
    """What the payment partner told the shop by itself, as it came."""

    inlines = [JobsInline]

    list_display = ["what", "state", "arrivals", "payment_key", "received_at"]
    list_filter = ["state", "kind"]
    search_fields = ["event_id", "payment_key"]
    date_hierarchy = "received_at"
    actions = ["process_again"]

    @admin.display(description="event", ordering="kind")
    def what(self, event: PaymentEvent) -> str:
        return event.kind or event.get_state_display()

    def has_ship_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.ship_order")

    @admin.action(description="Process again", permissions=["ship"])
    def process_again(self, request: HttpRequest, queryset: QuerySet[PaymentEvent]) -> None:
        """Those that wait, had no payment when they came, or were of a kind that we did not know then."""
        asked = [aftercare.process_again(event) for event in queryset]
        text = f"{sum(asked)} asked for; {asked.count(False)} left alone: done already, or cannot be read."
        self.message_user(request, text, messages.SUCCESS if any(asked) else messages.WARNING)


@admin.register(Customer)
class CustomerAdmin(ReadOnly, admin.ModelAdmin):
    inlines = [JobsInline]
    list_display = ["email", "name", "newsletter", "newsletter_problem"]
    list_filter = ["newsletter"]
    search_fields = ["name", "email"]
    fields = ["name", "email", "created_at", "newsletter", "newsletter_problem", "newsletter_at"]

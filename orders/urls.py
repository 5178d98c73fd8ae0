"""The shop's addresses."""

from django.urls import include, path

from orders import invoice_views, views, webhook_views

urlpatterns = [
    path("favicon.ico", views.favicon, name="favicon"),
    path("", views.product_list, name="product_list"),
    path("products/<slug:slug>/", views.product, name="product"),
    path("basket/", views.basket, name="basket"),
    path("basket/add/<slug:slug>/", views.basket_add, name="basket_add"),
    path("basket/change/<slug:slug>/", views.basket_change, name="basket_change"),
    path("checkout/", views.check_out, name="checkout"),
    path("orders/<str:number>/", views.order_page, name="order"),
    path("orders/<str:number>/progress/", views.order_progress, name="order_progress"),
    path("orders/<str:number>/pay/", views.order_pay, name="order_pay"),
    path("orders/<str:number>/address/", views.order_address, name="order_address"),
    path("orders/<str:number>/ship/", views.order_ship, name="order_ship"),
    path("orders/<str:number>/invoice/", invoice_views.order_invoice, name="order_invoice"),
    path("orders/<str:number>/invoice/<str:token>/", invoice_views.order_invoice, name="order_invoice_by_letter"),
    path("newsletter/", views.newsletter_page, name="newsletter"),
    path("newsletter/state/", views.newsletter_state, name="newsletter_state"),
    path("newsletter/leave/<str:token>/", views.newsletter_leave, name="newsletter_leave"),
    path("webhooks/payments/", webhook_views.payments_webhook, name="payments_webhook"),
    path("staff/", include("orders.staff.urls")),
]

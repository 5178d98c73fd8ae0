"""The addresses of the staff's pages, below wherever the site puts them."""

from django.urls import path

from . import views

urlpatterns = [
    path("partners/", views.partners, name="staff_partners"),
    path("partners/<slug:name>/mode/", views.set_mode, name="staff_partner_mode"),
    path("refund/<slug:charge>/", views.refund, name="staff_refund"),
    path("mailbox/", views.mailbox, name="staff_mailbox"),
    path("mailbox/clear/", views.clear_mailbox, name="staff_mailbox_clear"),
    path("mailbox/<slug:message_id>/", views.message, name="staff_message"),
    path("mailbox/<slug:message_id>/html/", views.message_html, name="staff_message_html"),
]

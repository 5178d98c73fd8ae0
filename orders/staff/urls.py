"""The addresses of the staff's pages, below wherever the site puts them."""

from django.urls import path

from . import exports, issues, office, reports, stock_files, views

urlpatterns = [
    path("", office.office, name="staff_office"),
    path("stalled/", office.stalls, name="staff_stalls"),
    path("newsletter/", issues.issue_list, name="staff_issues"),
    path("newsletter/write/", issues.write, name="staff_issue_write"),
    path("newsletter/<int:pk>/", issues.issue_page, name="staff_issue"),
    path("newsletter/<int:pk>/progress/", issues.issue_progress, name="staff_issue_progress"),
    path("newsletter/<int:pk>/change/", issues.rewrite, name="staff_issue_rewrite"),
    path("newsletter/<int:pk>/send/", issues.send, name="staff_issue_send"),
    path("exports/", exports.export_list, name="staff_exports"),
    path("exports/progress/", exports.export_progress, name="staff_export_progress"),
    path("exports/<int:pk>/fetch/", exports.fetch, name="staff_export_fetch"),
    path("exports/<int:pk>/file/<str:token>/", exports.file, name="staff_export_file"),
    path("reports/", reports.report_list, name="staff_reports"),
    path("reports/<slug:kind>/<slug:period>/", reports.report_page, name="staff_report"),
    path("stock-files/", stock_files.stock_file_list, name="staff_stock_files"),
    path("stock-files/<int:pk>/", stock_files.stock_file_page, name="staff_stock_file"),
    path("stock-files/<int:pk>/progress/", stock_files.stock_file_progress, name="staff_stock_file_progress"),
    path("partners/", views.partners, name="staff_partners"),
    path("partners/<slug:name>/mode/", views.set_mode, name="staff_partner_mode"),
    path("refund/<slug:charge>/", views.refund, name="staff_refund"),
    path("mailbox/", views.mailbox, name="staff_mailbox"),
    path("mailbox/clear/", views.clear_mailbox, name="staff_mailbox_clear"),
    path("mailbox/<slug:message_id>/", views.message, name="staff_message"),
    path("mailbox/<slug:message_id>/html/", views.message_html, name="staff_message_html"),
]

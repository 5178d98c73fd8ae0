"""Where each page lives."""

from django.contrib import admin
from django.urls import include, path

from jobsite import health

admin.site.site_header = admin.site.site_title = "Jobsite"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("", include("orders.urls")),
]

"""Where each page lives."""

from django.contrib import admin
from django.urls import include, path

admin.site.site_header = admin.site.site_title = "Jobsite"

urlpatterns = [
    path("", include("jobs.urls")),
    path("admin/", admin.site.urls),
    path("", include("orders.urls")),
]

"""Where programs find us: `path("", include("jobs.urls"))`. The console is in the admin."""

from django.urls import path

from jobs import views
from jobs.exposition.page import metrics

app_name = "jobs"

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]

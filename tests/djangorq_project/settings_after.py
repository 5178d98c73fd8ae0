"""The same project on Jobsite: settings only. The lines below are the whole of the change."""

import os

from settings_before import *  # noqa: F403
from settings_before import INSTALLED_APPS, RQ_QUEUES

INSTALLED_APPS = [
    "jobs",
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.humanize",
    *INSTALLED_APPS,
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
RQ = {
    "JOB_CLASS": "jobs.rq_classes.JobsJob",
    "QUEUE_CLASS": "jobs.rq_classes.JobsQueue",
    "WORKER_CLASS": "jobs.worker.worker.JobsWorker",
}
JOBS = {
    # The tests close each of them, to see what becomes of jobs that are not allowed.
    "FOREIGN_JOBS": os.environ.get("PARCELS_ALLOWED", "parcels.*").split(),
    "FOREIGN_PICKLE": os.environ.get("PARCELS_PICKLE", "1") == "1",
    "LEASE": 5.0,
}
if not JOBS["FOREIGN_PICKLE"]:
    # As the guide says for the time after the migration.
    RQ_QUEUES = {name: {**queue, "SERIALIZER": "rq.serializers.JSONSerializer"} for name, queue in RQ_QUEUES.items()}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}

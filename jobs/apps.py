"""Starts the app: opens the door of the jobs and finds those of every installed app."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These need the models, which are not there when this module is imported.
        from jobs import checks, conf, enqueueing, error_tracker, failpoints, registry, roles
        from jobs.models import append_only

        failpoints.arm_asked(allowed=conf.get().FAILPOINTS)
        registry.open_door(enqueueing)
        autodiscover_modules("jobs")
        checks.register()
        error_tracker.prepare()
        connection_created.connect(append_only.tell_sqlite, dispatch_uid="jobs.append_only")
        post_migrate.connect(roles.after_migrate, sender=self, dispatch_uid="jobs.roles")

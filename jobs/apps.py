"""Starts the app: opens the door of the jobs and finds those of every installed app."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "jobs"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These need the models, which are not there when this module is imported.
        from jobs import checks, conf, enqueueing, failpoints, registry

        failpoints.arm_asked(allowed=conf.get().FAILPOINTS)
        registry.open_door(enqueueing)
        autodiscover_modules("jobs")
        checks.register()

"""The runs about an object on its page in the admin: `inlines = [JobsInline]` in any ModelAdmin. It holds no verb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.checks import InlineModelAdminChecks
from django.contrib.admin.options import InlineModelAdmin
from django.core.checks import CheckMessage
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.forms.models import BaseModelFormSet, modelformset_factory
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from jobs.admin import access
from jobs.models import JobRun
from jobs.subjects import RunsAbout, jobs_for, subject_names


class JobsInline(InlineModelAdmin):
    """What was done, and is to be done, for the object whose page it is: state, time, error and a button to retry.

    Who lacks `jobs.view_console` does not see it, and who lacks `jobs.requeue_job` sees no button. Other objects whose
    runs belong here too are said by `objects_of`. `most` is how many of each generation are shown.
    """

    model = JobRun
    template = "admin/jobs/inline.html"
    verbose_name = _("run")
    verbose_name_plural = _("Jobs")
    classes: Sequence[str] = ()
    most = 50

    class Media:
        css = {"all": ["jobs/console.css"]}

    def objects_of(self, obj: Any) -> Sequence[Model]:
        """The objects whose runs are shown: the object itself, and what else belongs to it."""
        return [obj]

    # It has no relation to the object, and no forms: the rest of this class says so to the admin.

    checks_class = type("_NoChecks", (InlineModelAdminChecks,), {"check": lambda self, obj, **kwargs: []})

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        return []

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may(request, access.VIEW_CONSOLE)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobRun]:
        return JobRun.objects.none()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [(None, {"fields": []})]

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        objects = self.objects_of(obj) if obj is not None else []
        shown = {
            "runs": jobs_for(*objects, most=self.most) if objects else RunsAbout(),
            "subject": subject_names(objects)[0] if objects else "",
            "may_retry": access.may(request, access.REQUEUE),
            "back": request.get_full_path(),
        }
        plain = modelformset_factory(JobRun, form=ModelForm, formset=_Nothing, fields=(), extra=0, max_num=0)
        return type("RunsOfObject", (plain,), shown)


class _Nothing(BaseModelFormSet):
    """A formset without forms: the page shows runs, and saving it saves none."""

    runs: RunsAbout
    subject: str
    may_retry: bool
    back: str

    def __init__(self, *args: Any, instance: Any = None, save_as_new: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.new_objects: list[Any] = []
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Any] = []

    @classmethod
    def get_default_prefix(cls) -> str:
        return "jobs_runs"

    def total_form_count(self) -> int:
        return 0

    def initial_form_count(self) -> int:
        return 0

    def is_valid(self) -> bool:
        return True

    def full_clean(self) -> None:
        self._errors: list[Any] = []
        self._non_form_errors = self.error_class()

    def has_changed(self) -> bool:
        return False

    def save(self, commit: bool = True) -> list[Any]:
        return []

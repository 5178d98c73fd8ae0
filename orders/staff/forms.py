"""What staff fill in."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from orders import periods, stock_files
from orders.forms import LineField
from orders.partners.modes import MODES, Mode

MOST_DAYS = 366


class ModeForm(forms.Form):
    """How a partner should behave. `modes` are the ones that this partner knows."""

    mode = forms.ChoiceField(label="Behave like this", choices=MODES)
    times = forms.IntegerField(
        label="Requests", required=False, min_value=1, help_text="How many, then it heals. Empty: until told."
    )
    seconds = forms.FloatField(
        label="Seconds",
        required=False,
        min_value=0,
        max_value=3600,
        help_text="How late it answers, or how long to wait.",
    )

    def __init__(self, *args: Any, modes: Iterable[str] = MODES, **options: Any) -> None:
        super().__init__(*args, **options)
        mode = self.fields["mode"]
        assert isinstance(mode, forms.ChoiceField)
        mode.choices = [(name, MODES[name]) for name in modes]

    def wish(self) -> Mode:
        """The mode asked for, once the form is valid."""
        data = self.cleaned_data
        return Mode(data["mode"], data["seconds"], data["times"])


class IssueForm(forms.Form):
    """An issue of the newsletter."""

    subject = LineField(max_length=150)
    text = forms.CharField(max_length=20_000, widget=forms.Textarea({"rows": 12}))
    is_ready = forms.BooleanField(label="Send it with the next weekly mailing", required=False)


class ExportForm(forms.Form):
    """The days of an export, both included."""

    first_day = forms.DateField(label="From", widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))
    last_day = forms.DateField(label="To", widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))
    email = forms.EmailField(label="Mail the link to", max_length=254)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        first, last = data.get("first_day"), data.get("last_day")
        if first and last and first > last:
            self.add_error("last_day", "The last day must not be before the first.")
        if first and last and last - first >= timedelta(days=MOST_DAYS):
            self.add_error("last_day", f"At most {MOST_DAYS} days at a time.")
        return data


class MonthForm(forms.Form):
    """The month of a report."""

    month = forms.CharField(max_length=7, widget=forms.TextInput({"placeholder": "2026-05", "inputmode": "numeric"}))

    def clean_month(self) -> str:
        month: str = self.cleaned_data["month"]
        try:
            period = periods.month(month)
        except periods.NotAPeriod as error:
            raise forms.ValidationError(str(error)) from error
        if period.first > timezone.localdate():
            raise forms.ValidationError("That month has not begun.")
        return month


class StockFileForm(forms.Form):
    """A file of goods that came."""

    file = forms.FileField(widget=forms.ClearableFileInput({"accept": ".csv,text/csv"}))

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > stock_files.LARGEST_FILE:
            raise forms.ValidationError(f"At most {stock_files.LARGEST_FILE // 1024**2} MB. Cut it into several.")
        return file

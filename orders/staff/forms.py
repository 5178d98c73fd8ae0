"""What staff fill in."""

from collections.abc import Iterable
from typing import Any

from django import forms

from orders.partners.modes import MODES, Mode


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

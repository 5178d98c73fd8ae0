"""What visitors may send."""

from __future__ import annotations

from typing import Any

from django import forms

from orders.basket import MAX_QUANTITY
from orders.checkout import Address
from orders.models import Country

# The gateway's test tokens, as in `partners.gateway`.
CARDS = [
    ("tok_visa", "Visa ending 4242, which is accepted"),
    ("tok_insufficient_funds", "Mastercard ending 9995, which has insufficient funds"),
    ("tok_declined", "Visa ending 0002, which the bank declines"),
]


class QuantityForm(forms.Form):
    quantity = forms.IntegerField(min_value=0, max_value=MAX_QUANTITY)


class LineField(forms.CharField):
    """One line of text. A line break in a name would make an e-mail's subject that no server takes."""

    def to_python(self, value: Any) -> str:
        return " ".join((super().to_python(value) or "").split())


class AddressForm(forms.Form):
    recipient = LineField(label="Name", max_length=100, widget=forms.TextInput({"autocomplete": "name"}))
    street = LineField(
        label="Street and number", max_length=200, widget=forms.TextInput({"autocomplete": "street-address"})
    )
    postcode = LineField(max_length=12, widget=forms.TextInput({"autocomplete": "postal-code"}))
    city = LineField(max_length=100, widget=forms.TextInput({"autocomplete": "address-level2"}))
    country = forms.ChoiceField(choices=Country, widget=forms.Select({"autocomplete": "country"}))

    @property
    def address(self) -> Address:
        return Address(**{name: self.cleaned_data[name] for name in AddressForm.base_fields})


class CardForm(forms.Form):
    card = forms.ChoiceField(choices=CARDS, widget=forms.RadioSelect, initial=CARDS[0][0])


class NewsletterForm(forms.Form):
    email = forms.EmailField(label="E-mail", max_length=254, widget=forms.EmailInput({"autocomplete": "email"}))


class CheckoutForm(AddressForm, CardForm):
    email = forms.EmailField(label="E-mail", max_length=254, widget=forms.EmailInput({"autocomplete": "email"}))
    newsletter = forms.BooleanField(label="Send me the newsletter", required=False)
    key = forms.UUIDField(widget=forms.HiddenInput)
    seen_total = forms.IntegerField()

    field_order = ["email", "recipient", "street", "postcode", "city", "country", "card"]

    def __init__(self, *args: Any, total: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.total = total

    def clean_seen_total(self) -> int:
        # The page writes this field itself: a form that comes back must carry the total of now.
        seen: int = self.cleaned_data["seen_total"]
        if seen != self.total:
            raise forms.ValidationError("The basket or a price has changed meanwhile. Please check the total again.")
        return seen

"""Which object of the app's own a run is about, as one short text. Knows no models and fetches nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.errors import BadOptions
from jobs.policy.redaction import is_secret

# As long as the column that keeps it.
LONGEST = 200
_LABEL = re.compile(r"[^\W\d]\w*\.[^\W\d]\w*")


@dataclass(frozen=True)
class Subject:
    """The argument `parameter` of a job is the primary key of a `model`, as "app.model" in small letters."""

    parameter: str
    model: str

    def __str__(self) -> str:
        return f"{self.model} by {self.parameter}"

    def of(self, arguments: Mapping[str, Any]) -> str | None:
        """What a call is about. None where the argument is no key, or is left out."""
        return text_of(self.model, arguments.get(self.parameter))


def check(given: object, parameters: Sequence[str], *, sensitive: Collection[str], job: str) -> Subject | None:
    """What `subject=` says. Raises `BadOptions` for what cannot be."""
    if given is None:
        return None
    if not isinstance(given, Mapping) or len(given) != 1:
        raise BadOptions(f'{job}: subject={given!r}: pass one parameter and its model, as {{"order_id": "shop.Order"}}')
    (parameter, model), *_ = given.items()
    if parameter not in parameters:
        raise BadOptions(f"{job}: subject={given!r}: name one of its parameters: {list(parameters)}")
    if is_secret(parameter, sensitive):
        raise BadOptions(f"{job}: subject={given!r}: {parameter} is masked wherever it is shown, so it cannot be one")
    label = getattr(getattr(model, "_meta", None), "label", model)
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise BadOptions(f'{job}: subject={given!r}: write the model as "app.Model"')
    return Subject(parameter, label.lower())


def of_object(subject: Any) -> str:
    """What runs about this object of a model have. Raises `BadOptions` for what is no stored object."""
    meta = getattr(subject, "_meta", None)
    if meta is None or isinstance(subject, type) or getattr(subject, "pk", None) is None:
        raise BadOptions(f"{subject!r} is no stored object of a model: pass one that has a primary key")
    found = text_of(meta.concrete_model._meta.label_lower, _plain(subject.pk))
    if found is None:
        raise BadOptions(f"{subject!r} has a primary key that is longer than runs can keep")
    return found


def text_of(model: str, key: object) -> str | None:
    """How a row names an object; None for what is no key, or is too long.

    >>> text_of("shop.order", 17)
    'shop.order:17'
    """
    if isinstance(key, bool) or not isinstance(key, int | str) or key == "":
        return None
    found = f"{model}:{key}"
    return found if len(found) <= LONGEST and "\0" not in found else None


def _plain(key: object) -> object:
    """A key as a job's argument has it: numbers stay numbers, UUIDs and the like are text."""
    return key if isinstance(key, int) else str(key)

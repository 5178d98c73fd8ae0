"""A job's arguments as a form: a field of JSON for each parameter. Checks no signature; the verbs do."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from jobs.registry import Job

# Far above what a person types, and far below what a page should carry.
_MOST_CHARACTERS = 20_000
_PREFIX = "arg-"
_COLLECTS = {inspect.Parameter.VAR_POSITIONAL: "[]", inspect.Parameter.VAR_KEYWORD: "{}"}


@dataclass(frozen=True)
class Field:
    """One parameter: what the form calls it, what stands in it, and what may be left out."""

    name: str
    parameter: str
    text: str
    hint: str
    is_needed: bool

    @property
    def rows(self) -> int:
        """How many lines the field has."""
        return min(12, max(1, self.text.count("\n") + 1))


def fields(job: Job[..., Any], values: Mapping[str, Any]) -> list[Field]:
    """The parameters of a job, with these values as JSON."""
    return [_field(one, _written(values[one.name]) if one.name in values else "") for one in _parameters(job)]


def sent(job: Job[..., Any], query: Mapping[str, str]) -> list[Field]:
    """The same, as a form sent them."""
    return [_field(one, query.get(_PREFIX + one.name, "").strip()[:_MOST_CHARACTERS]) for one in _parameters(job)]


def values(filled: list[Field]) -> dict[str, Any]:
    """The arguments by parameter; an empty field is one that is left out. Raises ValueError."""
    found: dict[str, Any] = {}
    for field in filled:
        if not field.text:
            if field.is_needed:
                raise ValueError(_("%(name)s wants a value.") % {"name": field.parameter})
            continue
        try:
            found[field.parameter] = json.loads(field.text)
        except (ValueError, RecursionError) as error:
            text = _('%(name)s: this cannot be read as JSON (%(why)s). Text stands in quotation marks: "Ada".')
            raise ValueError(text % {"name": field.parameter, "why": error}) from error
    return found


def _parameters(job: Job[..., Any]) -> list[inspect.Parameter]:
    return list(job.signature.parameters.values())


def _field(one: inspect.Parameter, text: str) -> Field:
    if one.kind in _COLLECTS:
        hint = _COLLECTS[one.kind]
    elif one.default is one.empty:
        hint = ""
    else:
        hint = _("left out: %(default)s") % {"default": repr(one.default)[:100]}
    is_needed = one.default is one.empty and one.kind not in _COLLECTS
    return Field(_PREFIX + one.name, one.name, text, hint, is_needed)


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)

"""What somebody made of masked arguments: values that were left masked are the ones they were. Knows no job."""

from __future__ import annotations

from typing import Any

from jobs.policy.redaction import MASK


class StillMasked(ValueError):
    """A mask stands where nothing says which value it hides."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: {MASK} is no value. Leave it where it was, or write the value that is meant.")


def unmasked(edited: Any, *, shown: Any, real: Any, path: str = "") -> Any:
    """The value that is meant by what became of `shown`, which is `real` with its secrets masked.

    Raises `StillMasked` where a mask was moved.

    >>> unmasked({"card": "[redacted]", "id": 8}, shown={"card": "[redacted]", "id": 7}, real={"card": "tok", "id": 7})
    {'card': 'tok', 'id': 8}
    """
    if edited == shown and type(edited) is type(shown):
        return real
    if isinstance(edited, dict):
        before, values = (each if isinstance(each, dict) else {} for each in (shown, real))
        return {
            key: unmasked(value, shown=before.get(key), real=values.get(key), path=f"{path}.{key}".lstrip("."))
            for key, value in edited.items()
        }
    if isinstance(edited, list):
        # Only of a list as long as before a place says which value stood there.
        same = isinstance(shown, list) and isinstance(real, list) and len(shown) == len(real) == len(edited)
        pairs = zip(shown, real, strict=True) if same else [(None, None)] * len(edited)
        return [
            unmasked(value, shown=before, real=was, path=f"{path}[{number}]")
            for number, (value, (before, was)) in enumerate(zip(edited, pairs, strict=True))
        ]
    if isinstance(edited, str) and MASK in edited:
        raise StillMasked(path)
    return edited

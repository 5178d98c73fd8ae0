"""What `iterates=` is given where an iterator of ours does the walking."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from jobs.errors import BadOptions

Item = TypeVar("Item")


class Over(Generic[Item]):
    """Takes the job's arguments and a cursor, and yields pairs of cursor and item.

    `of` is the project's function: of the same arguments, without the cursor, it gives what is gone through. `count`
    tells how many items that has, and `measure` how far a cursor is, where that says more than the number of items:
    done, total and their unit.
    """

    def __init__(
        self,
        of: Callable[..., Any],
        walk: Callable[[Any, Any], Iterator[tuple[Any, Item]]],
        *,
        name: str,
        count: Callable[[Any], int] | None = None,
        measure: Callable[[Any], tuple[float, float, str]] | None = None,
        unit: str = "",
    ) -> None:
        if not callable(of) or inspect.iscoroutinefunction(of):
            raise BadOptions(
                f"{name}: {of!r:.100}: pass a function of the job's arguments, such as a lambda: what is made when the "
                "module is imported is old when the job runs"
            )
        self._of = of
        self._walk = walk
        self._count = count
        self.measure = measure
        self.unit = unit
        self.__signature__ = _with_cursor(inspect.signature(of))

    def __call__(self, *args: Any, cursor: Any, **kwargs: Any) -> Iterator[tuple[Any, Item]]:
        return self._walk(self._of(*args, **kwargs), cursor)

    def total(self, *args: Any, **kwargs: Any) -> int | None:
        """How many items there are for these arguments; None where only going through them would tell."""
        return self._count(self._of(*args, **kwargs)) if self._count is not None else None


def _with_cursor(signature: inspect.Signature) -> inspect.Signature:
    cursor = inspect.Parameter("cursor", inspect.Parameter.KEYWORD_ONLY)
    return signature.replace(parameters=[*signature.parameters.values(), cursor])

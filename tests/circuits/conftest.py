"""Circuits that no other test knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from jobs import circuits
from jobs.circuits import Circuit, passing
from tests.engine import make_job

__all__ = ["make_job"]
_numbers = count()


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    circuits.forget()
    yield
    circuits.forget()


@pytest.fixture
def make_circuit() -> Iterator[Callable[..., Circuit]]:
    """Define a circuit for the length of one test."""
    made: list[str] = []

    def make(name: str | None = None, **given: Any) -> Circuit:
        made.append(name or f"partner {next(_numbers)}")
        return Circuit(made[-1], **given)

    yield make
    for name in made:
        passing._defined.pop(name, None)

"""Scenarios run against real worker processes, so their rows must really be committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.workers import Workers, workers_in


@pytest.fixture
def workers(transactional_db: None, tmp_path: Path) -> Iterator[Workers]:
    with workers_in(tmp_path) as started:
        yield started

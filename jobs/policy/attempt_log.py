"""The log lines that are kept of an attempt: [milliseconds, level, logger, text] each. Keeps none."""

from __future__ import annotations

from typing import Any

from jobs.policy.storable import LATEST_MS


def is_line(line: Any) -> bool:
    """Whether it is one, wherever it comes from.

    >>> is_line([1795000000000, "INFO", "orders", "charged"]), is_line(["now", "INFO", "orders", "charged"])
    (True, False)
    """
    if not isinstance(line, list) or len(line) != 4:
        return False
    at, *words = line
    return type(at) is int and 0 <= at <= LATEST_MS and all(isinstance(word, str) for word in words)

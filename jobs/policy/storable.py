"""What rows can hold. What comes from Redis, or from what somebody wrote, may be anything, and is cut to that."""

from __future__ import annotations

# PostgreSQL's integers; as milliseconds, 24 days.
LARGEST = 2**31 - 1
# The last moment that a datetime can be, since 1970.
LATEST_MS = 253_402_300_799_999


def text(value: str) -> str:
    """A text as PostgreSQL takes it: without NUL and halves of characters.

    >>> text("a\\0b"), text("\\ud800")
    ('ab', '?')
    """
    return value.replace("\x00", "").encode(errors="replace").decode()

"""The largest numbers that rows can hold. What comes from Redis may be anything, and is cut to them."""

from __future__ import annotations

# PostgreSQL's integers; as milliseconds, 24 days.
LARGEST = 2**31 - 1
# The last moment that a datetime can be, since 1970.
LATEST_MS = 253_402_300_799_999

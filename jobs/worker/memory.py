"""How much memory this process takes."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")
# The resource module counts in bytes on macOS and in kilobytes elsewhere.
_UNIT = 1 if sys.platform == "darwin" else 1024


def resident_bytes() -> int:
    """What of this process lies in memory now; where the system does not say, what it was at its largest."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
    return pages * os.sysconf("SC_PAGE_SIZE")

"""Figures of jobs: by the minute as they are recorded, rolled up by hour and day, and in all.

Who reads them asks `jobs.figures`.
"""

from jobs.metrics.carrying import carry
from jobs.metrics.keeping import DAYS_KEPT, HOURS_KEPT, KEPT, is_anything_prunable, prune
from jobs.metrics.minutes import Minutes
from jobs.metrics.rolling import rebuild, roll

__all__ = [
    "DAYS_KEPT",
    "HOURS_KEPT",
    "KEPT",
    "Minutes",
    "carry",
    "is_anything_prunable",
    "prune",
    "rebuild",
    "roll",
]

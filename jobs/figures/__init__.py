"""Figures of a period: counts, failure rates, waits and run times, and how they went. Reads rows of figures only.

What is asked for is a few thousand rows at most, found by an index: minutes serve an hour, hours a week, days 13 weeks.
"""

from jobs.figures.changing import Change, change_since
from jobs.figures.periods import PERIODS, Period
from jobs.figures.reading import by_job, names, of, recorded_up_to, trend
from jobs.figures.values import Counts, Durations, Figures, Slice

__all__ = [
    "PERIODS",
    "Change",
    "Counts",
    "Durations",
    "Figures",
    "Period",
    "Slice",
    "by_job",
    "change_since",
    "names",
    "of",
    "recorded_up_to",
    "trend",
]

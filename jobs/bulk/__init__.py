"""Bulk actions: one thing done with many, in the background, at a rate, with a canary.

Commands, the admin and rules ask here; the job `jobs.run_bulk` does the work.
"""

from jobs.bulk.asking import JOB, BadBulk, ask, pause, queue_for_itself, resume, revive, stop
from jobs.bulk.cohorts import failed, open_circuit, totals
from jobs.bulk.keeping import is_anything_prunable, prune
from jobs.bulk.pace import PER_MINUTE, TooManyBulk, check_pace
from jobs.bulk.selections import Selection, told_of
from jobs.bulk.turning import is_open, turn, work

__all__ = [
    "JOB",
    "PER_MINUTE",
    "BadBulk",
    "Selection",
    "TooManyBulk",
    "ask",
    "check_pace",
    "failed",
    "is_anything_prunable",
    "is_open",
    "open_circuit",
    "pause",
    "prune",
    "queue_for_itself",
    "resume",
    "revive",
    "stop",
    "told_of",
    "totals",
    "turn",
    "work",
]

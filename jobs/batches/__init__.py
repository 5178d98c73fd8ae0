"""Batches: runs that belong together, and what follows when they have ended.

Fill one by `batch` or `start`, add to it from its members by `current`, look at it by `get` and `progress`, and deal
with it by `cancel` and `retry_failed`.
"""

from jobs.batches.calling import Callback
from jobs.batches.cancelling import cancel, take_back, take_back_nested, waiting
from jobs.batches.checking import Difference, check, check_all, repair
from jobs.batches.filling import Filling, OpenBatch, batch, current, start
from jobs.batches.following import follow
from jobs.batches.keeping import is_anything_prunable, look_after, prune
from jobs.batches.looking import Progress, get, progress, progress_of, total_of
from jobs.batches.operating import retry_failed, tree
from jobs.errors import BadBatch, BatchCancelled, BatchFilled
from jobs.policy.ended_batch import EndedBatch

__all__ = [
    "BadBatch",
    "BatchCancelled",
    "BatchFilled",
    "Callback",
    "Difference",
    "EndedBatch",
    "Filling",
    "OpenBatch",
    "Progress",
    "batch",
    "cancel",
    "check",
    "check_all",
    "current",
    "follow",
    "get",
    "is_anything_prunable",
    "look_after",
    "progress",
    "progress_of",
    "prune",
    "repair",
    "retry_failed",
    "start",
    "take_back",
    "take_back_nested",
    "total_of",
    "tree",
    "waiting",
]

"""Queues: how each stands and what becomes of it, and what people do with them: pause, resume, clear.

1. `pause` writes the row, and Redis is told after the commit. `tend` tells it again if that was lost.
2. Each claim passes by the queues that are paused. See `claim.lua`. What runs goes on; what is due becomes ready.
3. `resume`, or the time, ends the pause, and claims take what waits.

`operating` is what people do, `looking` what they see, `tending` what keeps Redis right, `sampling` what is kept of how
long queues were.
"""

from jobs.queues.looking import Standing, Standings, as_json, paused, standings
from jobs.queues.operating import clear, pause, resume
from jobs.queues.sampling import depths, is_anything_prunable, prune, sample
from jobs.queues.tending import tend

__all__ = [
    "Standing",
    "Standings",
    "as_json",
    "clear",
    "depths",
    "is_anything_prunable",
    "pause",
    "paused",
    "prune",
    "resume",
    "sample",
    "standings",
    "tend",
]

"""Fuses: what keeps the runs of one job from starting, added by hand or by a rule, until lifted or expired.

1. `add` writes the row, and Redis is told after the commit. `tend` tells it again if that was lost.
2. Each claim matches what it takes and puts what is caught into the fuse's lane. See `claim.lua`.
3. `lift`, or the time, ends the fuse: claims take what its lanes hold before anything else, in order.
4. `tend` sees that the lanes are empty, and Redis forgets the fuse.

`operating` is what people do, `looking` what they see, `following` what rules do, `tending` what keeps Redis right.
"""

from jobs.fuses.following import follow_rules
from jobs.fuses.looking import Preview, active, caught, examples, holders, preview
from jobs.fuses.operating import add, lift
from jobs.fuses.tending import KEPT, is_anything_prunable, prune, tend

__all__ = [
    "KEPT",
    "Preview",
    "active",
    "add",
    "caught",
    "examples",
    "follow_rules",
    "holders",
    "is_anything_prunable",
    "lift",
    "preview",
    "prune",
    "tend",
]

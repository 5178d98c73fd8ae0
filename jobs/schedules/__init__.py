"""Schedules: jobs that are asked for again and again, at the times of a cron expression.

1. `@cron` beside a job, or `add`, says when. `sync` makes rows of what the code declares.
2. `tick`, in every recording process, writes one row for each due time and asks for its run, in one transaction.
3. What was due and did not start is told: in the log, by `schedule_late`, and to the job `on_late`.

`operating` is what people do, `ticking` what recording processes do, `syncing` what deploys do, `looking` what people
see, `lateness` what is told of what did not start.
"""

from jobs.schedules.keeping import is_anything_prunable, prune
from jobs.schedules.looking import (
    Drift,
    DueTime,
    Finding,
    Line,
    drift,
    findings,
    in_words,
    lines,
    next_times,
    upcoming,
)
from jobs.schedules.operating import add, edit, pause, remove, resume, revert, run_now
from jobs.schedules.rows import shown_arguments, shown_terms, terms_of, terms_said
from jobs.schedules.syncing import ALIVE_SECONDS, follow_code, sync
from jobs.schedules.ticking import tick

__all__ = [
    "ALIVE_SECONDS",
    "Drift",
    "DueTime",
    "Finding",
    "Line",
    "add",
    "drift",
    "edit",
    "findings",
    "follow_code",
    "in_words",
    "is_anything_prunable",
    "lines",
    "next_times",
    "pause",
    "prune",
    "remove",
    "resume",
    "revert",
    "run_now",
    "shown_arguments",
    "shown_terms",
    "sync",
    "terms_of",
    "terms_said",
    "tick",
    "upcoming",
]

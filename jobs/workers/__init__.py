"""Processes of workers: who lives and what they run, and what people ask of them: be quiet, stop.

Processes and supervisors beat into Redis; the recording process stores what they say in rows, so that it is known
while Redis is away, and which release was seen since when.
"""

from jobs.workers.keeping import is_anything_prunable, note, prune, releases
from jobs.workers.looking import Host, Standings, Supervisor, last_seen, live, standings
from jobs.workers.ordering import quiet, stop

__all__ = [
    "Host",
    "Standings",
    "Supervisor",
    "is_anything_prunable",
    "last_seen",
    "live",
    "note",
    "prune",
    "quiet",
    "releases",
    "standings",
    "stop",
]

"""The names of keys: RQ's own, which its tools read, and ours beside them."""

from __future__ import annotations

from rq.defaults import RQ_KEY_PREFIX

QUEUES = f"{RQ_KEY_PREFIX}:queues"

# A stream of everything that happened, until the recorder has stored it.
JOURNAL = "jobs:journal"
# A sorted set of live workers by the end of their lease, in milliseconds of the server's clock.
LEASES = "jobs:leases"
# Ids found in a queue whose key is no hash: kept for a person to look at.
QUARANTINE = "jobs:quarantine"
# Counters of what should be rare: stale settles.
COUNTERS = "jobs:counters"
# The server whose runs were compared with the rows: every claim checks it.
EPOCH = "jobs:epoch"
# How many runs wait in lanes, by queue.
LANED = "jobs:laned"
# A hash of how many runs were pushed for the first time: queue, tab and job → count; "" → since when it counts.
ENQUEUED = "jobs:enqueued"
# Which process stores the journal at present.
RECORDER = "jobs:recorder"
# A hash of the fuses that claims look at: the fuse's id → JSON; beside it when the next run of a slow one may start.
FUSES = "jobs:fuses"
# A hash of the queues of which nothing starts: until when (milliseconds), 0 without end.
PAUSED = "jobs:paused"
# A sorted set of the limits that lanes wait for, by when to look at them at the latest.
TIMERS = "jobs:timers"
# A sorted set of the live supervisors by when they last told of themselves.
SUPERVISORS = "jobs:supervisors"
# RQ's set of all workers.
WORKERS = f"{RQ_KEY_PREFIX}:workers"
# The field of RQ's record of a worker that has what RQ does not know of it, as JSON.
FACTS = "jobs"
# No lane of a limit is named so: it has a further tab.
_FUSE_LANE = "\tfuse:"


# A sorted set of the locks that are held, by the end of their life, in milliseconds of the server's clock.
LOCKS = "jobs:locks"
# Before a lock's name, the hash of who holds it.
LOCK = "jobs:lock:"
# A sorted set of the circuits that were used of late, by when.
CIRCUITS = "jobs:circuits"


def suspects(queue: str) -> str:
    """The queue of a queue's runs that were in a process which died, each to be run again alone. In no setting."""
    return f"jobs.suspects.{queue}"


def job(run_id: str) -> str:
    return f"{RQ_KEY_PREFIX}:job:{run_id}"


def queue(name: str) -> str:
    return f"{RQ_KEY_PREFIX}:queue:{name}"


def scheduled(name: str) -> str:
    return f"{RQ_KEY_PREFIX}:scheduled:{name}"


def failed(name: str) -> str:
    return f"{RQ_KEY_PREFIX}:failed:{name}"


def worker(name: str) -> str:
    return f"{RQ_KEY_PREFIX}:worker:{name}"


def supervisor(supervisor_id: str) -> str:
    """What a supervisor says of itself, and what it is asked to do."""
    return f"jobs:supervisor:{supervisor_id}"


def stop(run_id: str) -> str:
    """An order to stop a run: JSON of its life, who wants it and why."""
    return f"jobs:stop:{run_id}"


def held(worker_id: str) -> str:
    """A hash of what a worker holds: the claim's token → its queue and run."""
    return f"jobs:held:{worker_id}"


def lane(name: str) -> str:
    """The list of the runs of a lane. Its name begins with its queue and a tab."""
    return f"jobs:lane:{name}"


def lanes(queue: str) -> str:
    """The lanes of a queue in which something waits, by when their turn came."""
    return f"jobs:lanes:{queue}"


def bell(queue: str) -> str:
    """A list that has an element while a lane of the queue may be ready: what a waiting child blocks on."""
    return f"jobs:bell:{queue}"


def fuse_lane(fuse: int, queue: str) -> str:
    """The lane of what a fuse caught in a queue."""
    return f"{queue}{_FUSE_LANE}{fuse}"


def fuse_in(lane: bytes) -> int | None:
    """The fuse whose lane it is; None for another kind of lane."""
    _, kind, fuse = lane.decode(errors="replace").partition(_FUSE_LANE)
    return int(fuse) if kind and fuse.isdecimal() else None


def slots(limit: str) -> str:
    """The tokens of what is held at once under a limit, each with its worker."""
    return f"jobs:slots:{limit}"


def window(limit: str) -> str:
    """The tokens of what was claimed under a limit, by when."""
    return f"jobs:window:{limit}"


def waiters(limit: str) -> str:
    """The lanes that are parked until a limit has room, by when they came."""
    return f"jobs:waiters:{limit}"

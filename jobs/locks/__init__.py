"""Locks: one at a time, over all processes.

    with lock("order:42"):
        fulfil(order)

1. Entering takes the lock under a token of its own. What happens when another one has it, `wait` and `held` choose.
2. It is renewed while the block lasts: a process that dies frees it after `ttl` seconds at the most.
3. Leaving lets it go, by the token: a lock that has become another one's is left alone, and `LockLost` is raised.

A lock in Redis can be lost: by a process that stands still for longer than `ttl`, by a server that forgets, by an
operator. `lost` and `check` tell, and `fence` is a number that grows: what you write to can refuse the older one.
`holding` is the block, `operating` what operators see and do.
"""

from jobs.locks.holding import Lock, WhenHeld, lock
from jobs.locks.operating import HeldLock, held, release

__all__ = ["HeldLock", "Lock", "WhenHeld", "held", "lock", "release"]

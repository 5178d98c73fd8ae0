"""How an attempt ended: a closed list. Says nothing of what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Returned:
    """The function returned; `result` is plain JSON, or None when it was too large to keep."""

    name: ClassVar[str] = "returned"
    result: Any = None


@dataclass(frozen=True)
class Raised:
    """The function raised."""

    name: ClassVar[str] = "raised"
    error: BaseException


@dataclass(frozen=True)
class TimedOut:
    """The attempt passed its limit of `seconds`."""

    name: ClassVar[str] = "timed out"
    error: BaseException


@dataclass(frozen=True)
class Interrupted:
    """A deploy or a stop ended the attempt; it is nobody's fault. The run waits for `seconds` before the next.

    `slice_over` says that it was the end of its time slice, as there may be thousands in a run.
    """

    name: ClassVar[str] = "interrupted"
    seconds: float = 0.0
    slice_over: bool = False


@dataclass(frozen=True)
class Stopped:
    """Somebody ended the run while the attempt ran."""

    name: ClassVar[str] = "stopped"
    actor: str
    reason: str


@dataclass(frozen=True)
class Crashed:
    """The attempt's process died, as its supervisor saw. `alone`: no other run was in it, so this one is to blame."""

    name: ClassVar[str] = "crashed"
    alone: bool


@dataclass(frozen=True)
class Abandoned:
    """The worker's lease ended and nobody knows why: a host that went away, or a process that stands still."""

    name: ClassVar[str] = "abandoned"


@dataclass(frozen=True)
class NotKnown:
    """No job of this name is registered where it ran; `for_seconds` since that was first seen."""

    name: ClassVar[str] = "unknown job"
    error: BaseException
    for_seconds: float


@dataclass(frozen=True)
class DatabaseAway:
    """A database that the attempt needed cannot be reached, for `for_seconds` by now."""

    name: ClassVar[str] = "database away"
    error: BaseException
    for_seconds: float


@dataclass(frozen=True)
class Postponed:
    """The job, or what stands before it, said that it cannot run now; `error` says why. It waits for `seconds`."""

    name: ClassVar[str] = "postponed"
    error: BaseException
    seconds: float


@dataclass(frozen=True)
class Expired:
    """The run was not to start any more: it was left alone, and counts no attempt."""

    name: ClassVar[str] = "expired"
    error: BaseException


@dataclass(frozen=True)
class Fused:
    """It did not start: a fuse discards the runs of its job."""

    name: ClassVar[str] = "fused"
    fuse: int


@dataclass(frozen=True)
class NotAccepted:
    """The arguments do not fit the function, or cannot be read."""

    name: ClassVar[str] = "bad arguments"
    error: BaseException


Outcome = (
    Returned
    | Raised
    | TimedOut
    | Interrupted
    | Stopped
    | Crashed
    | Abandoned
    | NotKnown
    | DatabaseAway
    | Postponed
    | Expired
    | Fused
    | NotAccepted
)

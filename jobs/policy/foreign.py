"""What plain RQ's jobs may be and when they run again. Knows the words of RQ and nothing of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobs.policy.backoff import Backoff
from jobs.policy.retry import CRASHES_TO_BURY, RetryPolicy

_BELOW = ".*"
# No list of RQ's is longer, and no damaged number means a million attempts.
_MOST_RETRIES = 100_000


def allows(allowed: Sequence[str], module: str) -> bool:
    """Whether `allowed` names the module itself, or by `package.*` the package or one above it.

    >>> allows(["shop.tasks"], "shop.tasks"), allows(["shop.tasks"], "shop.tasks.mail")
    (True, False)
    >>> allows(["shop.*"], "shop.tasks.mail"), allows(["shop.*"], "shop"), allows(["shop.*"], "shopping")
    (True, True, False)
    """
    return any(
        module == one.removesuffix(_BELOW) or (one.endswith(_BELOW) and module.startswith(one[:-1])) for one in allowed
    )


def places(path: str, allowed: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The allowed modules that a dotted path may begin with, the longest first, each with the names that follow.

    >>> places("shop.tasks.Report.build", ["shop.*"])
    [('shop.tasks.Report', ('build',)), ('shop.tasks', ('Report', 'build')), ('shop', ('tasks', 'Report', 'build'))]
    """
    words = path.split(".")
    cuts = [(".".join(words[:cut]), tuple(words[cut:])) for cut in range(len(words) - 1, 0, -1)]
    return [(module, rest) for module, rest in cuts if allows(allowed, module)]


def retry_policy(*, attempt: int, retries_left: int, intervals: Sequence[float]) -> RetryPolicy:
    """RQ's `Retry` as it stands at an attempt: so many more, each after the wait in seconds that RQ would take.

    A job without `Retry` has one attempt.
    """
    left = max(0, min(retries_left, _MOST_RETRIES))
    return RetryPolicy(attempts=attempt + left, backoff=_waits(attempt + left, list(intervals)), jitter=0.0)


def forgiving_crashes(policy: RetryPolicy) -> RetryPolicy:
    """The same for an attempt whose process died: RQ's retries are for errors, so only the third crash buries."""
    return replace(policy, attempts=policy.attempts + CRASHES_TO_BURY)


def _waits(attempts: int, intervals: list[float]) -> Backoff:
    def wait(attempt: int) -> float:
        # As RQ counts: a list that is too short repeats its first wait, and ends with its last.
        left = attempts - attempt
        return float(intervals[max(len(intervals) - left, 0)]) if intervals and left > 0 else 0.0

    return wait

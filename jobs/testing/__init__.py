"""What users' test suites import: `fake`, `inline`, `drain`. Nothing here is for production code.

`fake()` records what is enqueued, `inline()` runs it in this process, `drain()` runs what is queued in a real server as
a worker would. Fixtures for pytest are in `jobs.testing.plugin`; the guide is docs/testing.md.
"""

from jobs.testing.asked import Enqueued
from jobs.testing.attempts import Attempt, Attempts
from jobs.testing.batching import FakeBatch
from jobs.testing.draining import drain
from jobs.testing.faking import FakeJobs, fake
from jobs.testing.guarding import TooManyRuns
from jobs.testing.inlining import InlineJobs, inline
from jobs.testing.servers import NotATestServer, embedded_valkey

__all__ = [
    "Attempt",
    "Attempts",
    "Enqueued",
    "FakeBatch",
    "FakeJobs",
    "InlineJobs",
    "NotATestServer",
    "TooManyRuns",
    "drain",
    "embedded_valkey",
    "fake",
    "inline",
]

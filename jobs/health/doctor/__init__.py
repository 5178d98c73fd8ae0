"""Looks a deployment over and says what to change: what, why it matters, and the cure. It changes nothing itself.

`settings` has what files say, `servers` what Redis, the database and the host are, `work` how the jobs fare.
"""

from jobs.health.doctor.finding import Finding
from jobs.health.doctor.looking import examine

__all__ = ["Finding", "examine"]

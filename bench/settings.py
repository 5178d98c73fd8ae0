"""The project's settings and the app of what is measured."""

import os

from jobsite.settings import *  # noqa: F403
from jobsite.settings import DATABASES, INSTALLED_APPS, JOBS

INSTALLED_APPS = [*INSTALLED_APPS, "bench"]

JOBS = {**JOBS, "FAILPOINTS": True, "SCHEDULES": False, "LEASE": float(os.environ.get("BENCH_LEASE", "15"))}

if os.environ.get("BENCH_OTHER_DATABASE"):
    # A file beside the first one, with the same tables.
    DATABASES["other"] = {**DATABASES["default"], "NAME": f"{DATABASES['default']['NAME']}.other"}

"""The project's settings and an app of sample jobs, for tests and for the worker processes that they start."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from jobsite.settings import *  # noqa: F403
from jobsite.settings import DATABASES, INSTALLED_APPS, JOBS, env

INSTALLED_APPS = [*INSTALLED_APPS, "tests.sample"]

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, because the worker processes must see it too; one for each test process.
    DATABASES["default"]["TEST"] = {"NAME": f"{tempfile.gettempdir()}/jobsite-test-{os.getpid()}.sqlite3"}

JOBS = {
    **JOBS,
    "LEASE": env.float("SAMPLE_LEASE", 15.0),
    "JOURNAL_LIMIT": env.int("SAMPLE_JOURNAL_LIMIT", 100_000),
    "FAILPOINTS": True,
    # The shop's own would come due in the midst of a test, as the clock on the wall has it.
    "SCHEDULES": env.bool("SAMPLE_SCHEDULES", False),
    # The rules are looked at where a test is about them.
    "ALERTS": env.json("SAMPLE_ALERTS", {"ON": False}),
}

# Removed at the end of the process; a worker that is killed leaves its own to the system.
MEDIA_ROOT = Path(env.str("SAMPLE_MEDIA", f"{tempfile.gettempdir()}/jobsite-test-media-{os.getpid()}"))
if "SAMPLE_MEDIA" not in os.environ:
    atexit.register(shutil.rmtree, MEDIA_ROOT, ignore_errors=True)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

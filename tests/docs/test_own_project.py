"""A project that follows the README has jobs that run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

BESIDE = """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "own.sqlite3"}}
INSTALLED_APPS += [
    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.messages", "own",
]
SECRET_KEY = "only for this test"
USE_TZ = True
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
"""
JOB = """
from jobs import job

@job(queue="critical")
def greet(name):
    return f"Hello {name}"
"""
ENQUEUE = "from own.jobs import greet; print(greet.enqueue('Ann').id)"
LOOK = "from jobs.models import JobRun; run = JobRun.objects.get(name='own.greet'); print(run.state, run.result)"


@pytest.fixture
def project(tmp_path: Path, broker_url: str) -> Path:
    """A project with the README's settings and one job."""
    (settings,) = [block.text for block in blocks("python") if block.text.startswith("INSTALLED_APPS")]
    (waiting,) = [block.text for block in blocks("python") if block.text.startswith("DATABASES")]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "__init__.py").touch()
    (tmp_path / "own" / "jobs.py").write_text(JOB)
    ours = settings.replace("redis://127.0.0.1:6379/0", broker_url)
    assert ours != settings
    (tmp_path / "own_settings.py").write_text(ours + BESIDE + waiting)
    return tmp_path


def manage(project: Path, *words: str, status: int = 0) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "django", *words],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{project}:{ROOT}", "DJANGO_SETTINGS_MODULE": "own_settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == status, result.stderr
    return result.stdout + result.stderr


@pytest.mark.slow
def test_a_project_with_the_settings_of_the_readme_passes_the_checks_and_runs_its_jobs(project: Path) -> None:
    # The test's server keeps no file, and a new project has Django's middleware only: nothing else may be wrong.
    said = manage(project, "check", "--deploy", "--tag", "jobs")
    assert set(re.findall(r"jobs\.[EW]\d+", said)) == {"jobs.W005", "jobs.W007", "jobs.W023"}
    manage(project, "migrate")
    manage(project, "shell", "-c", ENQUEUE)
    assert "own.greet attempt 1" in manage(project, "rqworker", "critical", "default", "low", "--burst")
    assert manage(project, "shell", "-c", LOOK).splitlines()[-1] == "succeeded Hello Ann"


def test_a_project_on_sqlite_as_django_sets_it_up_is_told_what_it_lacks(project: Path) -> None:
    with (project / "own_settings.py").open("a") as settings:
        settings.write('del DATABASES["default"]["OPTIONS"]\n')
    assert "(jobs.W022)" in manage(project, "check")


def test_a_project_that_forgets_django_rq_is_told_so(project: Path) -> None:
    with (project / "own_settings.py").open("a") as settings:
        settings.write('INSTALLED_APPS.remove("django_rq")\n')
    said = manage(project, "check", status=1)
    assert "(jobs.E004)" in said
    assert "Traceback" not in said

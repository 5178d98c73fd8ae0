"""What the fixtures set up, and what importing the package asks for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.conf import settings

from jobs import conf
from jobs.broker import keys
from jobs.broker.connection import client
from jobs.broker.embedded import EmbeddedServer
from jobs.testing import embedded_valkey


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_queues_lead_to_the_test_processs_own_server(jobs_valkey: EmbeddedServer) -> None:
    assert {queue["URL"] for queue in settings.RQ_QUEUES.values()} == {jobs_valkey.url}
    assert conf.redis_url() == settings.REDIS_URL == jobs_valkey.url


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_finds_an_empty_server(jobs_valkey: EmbeddedServer, turn: int) -> None:
    assert set(client().keys()) <= {keys.EPOCH.encode()}
    client().set("left behind", turn)


def test_after_the_block_queues_lead_where_they_did(jobs_valkey: EmbeddedServer) -> None:
    before = {name: dict(queue) for name, queue in settings.RQ_QUEUES.items()}
    with embedded_valkey() as other:
        assert conf.redis_url("low") == other.url != jobs_valkey.url
        assert client().ping()
    assert before == settings.RQ_QUEUES
    assert jobs_valkey.url == settings.REDIS_URL


def test_the_package_does_not_need_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; import django; django.setup(); import jobs.testing"
    done = run_python(f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'; {code}")
    assert done.returncode == 0, done.stderr

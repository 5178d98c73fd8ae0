"""Run a Python program with REDIS_URL naming a Valkey of its own: `python .ci/with_valkey.py manage.py check`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jobs.broker.embedded import embedded_server

with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder)) as server:
    command = [sys.executable, *sys.argv[1:]]
    result = subprocess.run(command, env={**os.environ, "REDIS_URL": server.url}, check=False)  # noqa: S603
sys.exit(result.returncode)

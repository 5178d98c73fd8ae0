"""Where the peers' packages are: in an environment of their own, `.venv-bench` unless `BENCH_PEERS` says otherwise.

Where that is missing, they are looked for in the project's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

from bench.processes import ROOT

_VARIABLE = "BENCH_PEERS"


def has(package: str) -> bool:
    """Whether the package is there."""
    code = f"import sys, importlib.util; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([python(), "-c", code], cwd="/", check=False).returncode == 0


@cache
def python() -> str:
    """The interpreter of the peers."""
    own = ROOT / os.environ.get(_VARIABLE, ".venv-bench/bin/python")
    return str(own) if own.exists() else sys.executable
